from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connection

from console.sqlviews import hardening


class Command(BaseCommand):
    help = "Prints what the database's superuser has to run before readers of the SQL views can be made."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--run", action="store_true", help="run it, where Causeway's own role is a superuser")

    def handle(self, *, run: bool, **_: object) -> None:
        executor = str(settings.CAUSEWAY_EXECUTOR_ROLE)
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_user")
            owner = str(cursor.fetchone()[0])
            others = [executor] if executor and executor != owner and _exists(cursor, executor) else []
            for statement in hardening.statements(cursor, owner, others):
                if run:
                    cursor.execute(statement)
                else:
                    self.stdout.write(f"{statement.as_string(connection.connection)};")


def _exists(cursor: Any, role: str) -> bool:
    cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", [role])
    return bool(cursor.fetchone() is not None)
