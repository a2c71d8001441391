from __future__ import annotations

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from console.accounts import access, login_links
from console.accounts.models import User


class Command(BaseCommand):
    help = "Prints a link that logs a user into the console once, within ten minutes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", default="", help="who is logged in; default: the local admin")

    def handle(self, *, user: str, **_: object) -> None:
        owner = User.objects.filter(username=user, is_active=True).first() if user else access.local_admin()
        if owner is None:
            raise CommandError(f"no active user named {user}")
        self.stdout.write(login_links.create(owner))
