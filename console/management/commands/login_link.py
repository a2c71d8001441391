from __future__ import annotations

import json
import os
from argparse import ArgumentParser

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from console.accounts import access, login_links
from console.accounts.models import User
from console.supervisor.paths import Home


class Command(BaseCommand):
    help = "Prints a link that logs a user into the console once, within ten minutes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", default="", help="who is logged in; default: the local admin")

    def handle(self, *, user: str, **_: object) -> None:
        owner = User.objects.filter(username=user, is_active=True).first() if user else access.local_admin()
        if owner is None:
            raise CommandError(f"no active user named {user}")
        self.stdout.write(login_links.create(owner, at=_console()))


def _console() -> str:
    """Where it answers: as the environment says, else as the set-up of this home was started."""
    written = Home(settings.CAUSEWAY_HOME).flyte_config
    if {"CAUSEWAY_PUBLIC_URL", "CAUSEWAY_HTTP_PORT"}.intersection(os.environ) or not written.is_file():
        return str(settings.CAUSEWAY_PUBLIC_URL)
    return str(json.loads(written.read_text())["console"]["endpoint"])
