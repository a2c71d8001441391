from __future__ import annotations

import os
import subprocess
from argparse import ArgumentParser
from pathlib import Path

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from console import first_tables
from console.sqlviews import schema
from console.supervisor.postgres import binaries


class Command(BaseCommand):
    help = "Writes console/first_tables.sql anew, after a change of migrations (in a database of its own)."

    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--file", type=Path, default=first_tables.FILE)

    def handle(self, *, file: Path, **_: object) -> None:
        own = connection.settings_dict["NAME"]
        name = f"{own}_first_tables"
        with connection.cursor() as cursor:
            cursor.execute(f'DROP DATABASE IF EXISTS "{name}"')
            cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        connection.close()
        connection.settings_dict["NAME"] = name
        try:
            call_command("migrate", interactive=False, verbosity=0)
            schema.drop()  # views are made after migrations
            text = first_tables.written(dump(), first_tables.server())
        finally:
            connection.close()
            connection.settings_dict["NAME"] = own
            with connection.cursor() as cursor:
                cursor.execute(f'DROP DATABASE "{name}"')
        file.write_text(text)
        self.stdout.write(f"{file}: {len(text.splitlines())} lines")


def dump() -> str:
    told = connection.settings_dict
    given = {"HOST": told["HOST"], "PORT": told["PORT"], "USER": told["USER"], "PASSWORD": told["PASSWORD"]}
    env = {**os.environ, **{f"PG{name}": str(value) for name, value in given.items() if value}}
    command = [str(binaries() / "pg_dump"), "--inserts", "--no-owner", "--no-privileges", str(told["NAME"])]
    done = subprocess.run(command, env=env, capture_output=True, text=True)  # noqa: S603 - our own program
    if done.returncode:
        raise CommandError(done.stderr.strip())
    return done.stdout
