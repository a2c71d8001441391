"""What each fork of the supervisor would do first, done once before: what that leaves in memory they then share.

Nothing of it starts a thread or opens a connection (see warm.py).
"""

from __future__ import annotations

import contextlib
import importlib
from typing import Any

# What Celery and gunicorn import once they run.
LATER = (
    "billiard.pool",
    "celery.app.amqp",
    "celery.app.routes",
    "celery.concurrency.solo",
    "celery.events",
    "celery.events.dispatcher",
    "celery.events.receiver",
    "celery.worker.consumer.delayed_delivery",
    "gunicorn.glogging",
    "grpc._utilities",
)


def rehearse(app: Any) -> None:
    """`app`: the application of Celery."""
    for name in LATER:
        importlib.import_module(name)
    _models()
    _database()
    _queues(app)


def _models() -> None:
    """How models refer to each other is found out with the first query."""
    from django.apps import apps

    for model in apps.get_models(include_auto_created=True):
        options = model._meta  # noqa: SLF001 - Django's public name for it
        options.get_fields()
        options.fields_map  # noqa: B018 - kept from now on
        options.related_objects  # noqa: B018


def _database() -> None:
    from django.db import connection

    connection.get_connection_params()


def login() -> None:
    """All of a connection's beginning but the connection: where its library keeps what, and its cryptography."""
    import psycopg

    with contextlib.suppress(psycopg.Error):
        psycopg.connect(host="/nonexistent", connect_timeout=1).close()
    nowhere = psycopg.pq.PGconn.connect_start(b"host=/nonexistent")
    with contextlib.suppress(psycopg.Error):
        nowhere.encrypt_password(b"password", b"role", b"scram-sha-256")
    nowhere.finish()


def _queues(app: Any) -> None:
    """What Celery looks up in the metadata of all packages, and the queues of the settings."""
    from celery.app import backends

    backends.by_name("disabled", app.loader)
    app.amqp.queues  # noqa: B018 - kept from now on
    app.amqp.router  # noqa: B018
