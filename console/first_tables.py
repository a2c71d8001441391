"""The tables of a new database, as one file of SQL: what migrations would make of it, in a tenth of their time.

Migrations make the models of each step anew, in Python, to see what differs: 4 s of a first start. The file is what
`pg_dump` said of a database that they made (`manage.py write_first_tables`). It is used for a database that is empty,
of the major version of PostgreSQL it was written by, while no migration has changed since; else migrations run as ever.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.management.sql import emit_post_migrate_signal
from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder

FILE = Path(__file__).with_name("first_tables.sql")
_HEAD = "-- Written by manage.py write_first_tables. PostgreSQL {major}, migrations {digest}\n"
_SETS = re.compile(r"(SET |SELECT pg_catalog\.set_config|\\|--|$)")


def digest() -> str:
    """Changes with every migration, ours and Django's."""
    seen = hashlib.sha256()
    for app in sorted(apps.get_app_configs(), key=lambda app: app.label):
        for file in sorted(Path(app.path).glob("migrations/*.py")):
            seen.update(f"{app.label}/{file.name}\0".encode() + file.read_bytes() + b"\0")
    return seen.hexdigest()[:32]


def server() -> int:
    """The major version of the database's server."""
    database: Any = connection
    return int(database.pg_version) // 10_000


def head(major: int) -> str:
    """The first line of a file that a database of that version may use."""
    return _HEAD.format(major=major, digest=digest())


def written(dump: str, major: int) -> str:
    """The file, from what pg_dump said. When a migration was applied is said by whoever uses it."""
    inserted = re.compile(r"(INSERT INTO public\.django_migrations VALUES .*), '[^']*'\);")
    lines = [inserted.sub(r"\1, now());", line) for line in dump.splitlines() if not _SETS.match(line)]
    return head(major) + "\n".join(lines) + "\n"


def make() -> bool:
    """Whether the database had no tables, and has them all now. False: it is for migrations."""
    if connection.introspection.table_names():
        return False
    text = FILE.read_text() if FILE.exists() else ""
    if not text.startswith(head(server())):
        return False
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(text)
    emit_post_migrate_signal(0, False, connection.alias)
    return bool(MigrationRecorder(connection).applied_migrations())
