from __future__ import annotations

import contextlib
import os
from argparse import ArgumentParser
from typing import Any

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction
from psycopg import sql

from artifacts.store import LocalStore, store, task_users
from artifacts.store.folders import settle_existing
from console import first_tables, installation, old_homes, statistics
from console.accounts import access, tokens
from console.sqlviews import policies
from console.supervisor.paths import Home
from scheduler.models import Project

UNUSED_STATIC = ["rest_framework"]  # of its browsable API, which we do not have


class Command(BaseCommand):
    help = "Makes the database, the first admin with a token, and the first project, as far as they are missing."

    # The tables may not exist yet
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-static", action="store_true", help="leave the static files alone")
        parser.add_argument("--no-token", action="store_true", help="make no token for the first admin (create_token)")
        parser.add_argument("--only-static", action="store_true", help="collect the static files alone")
        parser.add_argument("--only-database", action="store_true", help="make the database, empty, and nothing in it")

    def handle(self, **options: Any) -> None:
        if options["only_static"]:
            collect()
            return
        make_database()
        if options["only_database"]:  # to restore one into: its dump names the role
            with transaction.atomic(), connection.cursor() as cursor:
                policies.role_is_ours(cursor)
            return
        self._fill(no_token=options["no_token"])
        if not options["no_static"]:
            collect()
        if options["verbosity"]:
            self.stdout.write("ready")

    def _fill(self, *, no_token: bool) -> None:
        try:
            installation.check()
        except installation.DatabaseTaken as error:
            raise CommandError(str(error)) from None
        old_homes.prepare()
        if not first_tables.make():
            call_command("migrate", interactive=False, verbosity=0)
            statistics.complete()
        if settings.CAUSEWAY_EXECUTOR_ROLE:
            call_command("grant_executor", settings.CAUSEWAY_EXECUTOR_ROLE, verbosity=0)
        if not no_token:
            make_first_token()
        settle_store()
        Project.objects.get_or_create(identifier="flytesnacks", defaults={"name": "flytesnacks"})


def collect() -> None:
    call_command("collectstatic", interactive=False, verbosity=0, clear=False, ignore_patterns=UNUSED_STATIC)


def make_database() -> None:
    """Create the database itself when the server does not have it; a race with another bootstrap is no error."""
    wanted = connection.settings_dict
    parameters = {
        "host": wanted["HOST"],
        "port": wanted["PORT"],
        "user": wanted["USER"],
        "password": wanted["PASSWORD"],
    }
    given = {name: value for name, value in parameters.items() if value}
    try:
        psycopg.connect(dbname=wanted["NAME"], **given, **wanted["OPTIONS"]).close()
    except psycopg.OperationalError as error:
        if "does not exist" not in str(error):
            raise
        with (
            psycopg.connect(dbname="postgres", autocommit=True, **given, **wanted["OPTIONS"]) as server,
            contextlib.suppress(psycopg.errors.DuplicateDatabase),
        ):
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(wanted["NAME"])))


def settle_store() -> None:
    """Objects of an earlier Causeway become readable by the tasks of their project, and by nobody else."""
    objects, users = store(), task_users()
    if isinstance(objects, LocalStore) and users is not None:
        settle_existing(objects.directory, users)


def make_first_token() -> None:
    """The first admin's REST token, readable by the owner of the data directory alone."""
    file = Home(settings.CAUSEWAY_HOME).admin_token
    if file.exists():
        return
    _token, secret = tokens.create(access.local_admin(), "first admin", actor="system:bootstrap")
    draft = file.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(f"{secret}\n")
    draft.rename(file)
