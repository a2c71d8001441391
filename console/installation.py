"""One database belongs to one installation: two would fire the same triggers and run the same tasks, each with a store
and a key of its own.

The gRPC process, of which every installation has one at least, holds a shared advisory lock of PostgreSQL in a session
of its own; replicas hold the same lock. It is gone with the session, however the process ends. Whoever starts looks
for the locks of others.
"""

from __future__ import annotations

import hashlib
import logging
import socket
import threading
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection

logger = logging.getLogger(__name__)

# Of PostgreSQL's two numbers for an advisory lock the first says that it is one of these.
CLASS = 0x0CA5E
LOOK_AGAIN = 10.0  # seconds
_LOCK = "SELECT pg_advisory_lock_shared(%s, %s)"
_OTHERS = """
    SELECT coalesce(nullif(activity.application_name, ''), 'process ' || lock.pid) FROM pg_locks AS lock
    JOIN pg_database AS base ON base.oid = lock.database AND base.datname = current_database()
    LEFT JOIN pg_stat_activity AS activity ON activity.pid = lock.pid
    WHERE lock.locktype = 'advisory' AND lock.objsubid = 2 AND lock.classid = %s AND lock.objid <> %s AND lock.granted
    LIMIT 1
"""


class DatabaseTaken(Exception):
    """Another installation uses the database; the message says which, and what to do."""


def number() -> int:
    """Of this installation: the same in each of its processes."""
    text = f"{settings.SECRET_KEY}\0{settings.CAUSEWAY_INSTALLATION}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1  # a positive int4


def check() -> None:
    """Raises DatabaseTaken when another installation uses the database at this moment."""
    with connection.cursor() as cursor:
        cursor.execute(_OTHERS, [CLASS, number()])
        _refuse(cursor.fetchone())


def _refuse(found: Any) -> None:
    if found is None:
        return
    name = settings.DATABASES["default"]["NAME"]
    raise DatabaseTaken(
        f"the database {name} is in use by another Causeway ({found[0]}): stop that one, or set DATABASE_URL to a "
        "database of its own"
    )


class Held:
    """The lock, held until `stop`; taken again when its session broke."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._session = self._take()
        threading.Thread(target=self._keep, name="installation", daemon=True).start()

    def _take(self) -> psycopg.Connection[Any]:
        parameters = connection.get_connection_params()
        wanted = ("dbname", "host", "port", "user", "password", "sslmode", "sslrootcert", "sslcert", "sslkey")
        who = f"causeway {socket.gethostname()}:{settings.CAUSEWAY_INSTALLATION or settings.CAUSEWAY_HOME}"[:63]
        given: dict[str, Any] = {name: parameters[name] for name in wanted if parameters.get(name)}
        session: psycopg.Connection[Any] = psycopg.connect(**given, application_name=who, autocommit=True)
        session.execute(_LOCK, [CLASS, number()])
        # Taken first and looked for others then: of two that start together one sees the other at least.
        found = session.execute(_OTHERS, [CLASS, number()]).fetchone()
        if found is not None:
            session.close()
        _refuse(found)
        return session

    def _keep(self) -> None:
        while not self._stopped.wait(LOOK_AGAIN):
            try:
                self._session.execute("SELECT 1")
            except psycopg.Error:
                self._session.close()
                try:
                    self._session = self._take()
                except (psycopg.Error, DatabaseTaken) as error:
                    logger.warning("the database is not held for this installation: %s", error)

    def stop(self) -> None:
        self._stopped.set()
        self._session.close()


def hold() -> Held:
    """Take the database for this installation. Raises DatabaseTaken."""
    return Held()
