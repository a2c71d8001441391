from __future__ import annotations

from argparse import ArgumentParser

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from console.executor_rights import NotGranted, grant


class Command(BaseCommand):
    help = "Gives a role of the database the rights of an executor and takes all others; after each migration."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("role", nargs="?", default=settings.CAUSEWAY_EXECUTOR_ROLE, help="a role that can log in")

    def handle(self, *, role: str, verbosity: int, **_: object) -> None:
        if not role:
            raise CommandError("name the role, or set CAUSEWAY_EXECUTOR_DATABASE_URL")
        try:
            grant(role)
        except NotGranted as error:
            raise CommandError(str(error)) from None
        if verbosity:
            self.stdout.write(f"{role} may now what an executor does, and nothing else")
