from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from scheduler.actions.secrets import reseal
from scheduler.secrets.cipher import CannotOpen


class Command(BaseCommand):
    help = "Seal all secrets with the first key of CAUSEWAY_SECRETS_KEY; the other keys are not needed afterwards."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            number = reseal()
        except CannotOpen as error:
            raise CommandError(error.message) from None
        self.stdout.write(f"{number} sealed anew")
