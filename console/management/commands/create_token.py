from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from artifacts.exceptions import CausewayError
from console.accounts import access, tokens
from console.accounts.models import User
from console.accounts.scopes import SCOPES


class Command(BaseCommand):
    help = "Makes an API token and prints its secret, which cannot be read again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", default="", help="whose token; default: the local admin")
        parser.add_argument("--name", default="command line", help="what people call the token")
        parser.add_argument("--days", type=float, default=None, help="valid for so many days; default: until revoked")

        parser.add_argument(
            "--scope", action="append", default=[], choices=list(SCOPES), help="default: all; repeatable"
        )
        parser.add_argument("--project", default="", help="good in this project only; default: in all")

    def handle(self, *, user: str, name: str, days: float | None, scope: list[str], project: str, **_: object) -> None:
        owner = User.objects.filter(username=user).first() if user else access.local_admin()
        if owner is None:
            raise CommandError(f"no user named {user}")
        expires_at = timezone.now() + timedelta(days=days) if days is not None else None
        try:
            _token, secret = tokens.create(
                owner, name, expires_at, scopes=scope, project=project, actor="system:command"
            )
        except CausewayError as error:
            raise CommandError(error.message) from error
        self.stdout.write(secret)
