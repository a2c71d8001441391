from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from scheduler.actions import clusters, connections, secrets
from scheduler.secrets.cipher import CannotOpen


class Command(BaseCommand):
    help = (
        "Seal secrets, connections and kubeconfigs with the first key of CAUSEWAY_SECRETS_KEY; the others are not "
        "needed then."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            number = secrets.reseal() + connections.reseal() + clusters.reseal()
        except CannotOpen as error:
            raise CommandError(error.message) from None
        self.stdout.write(f"{number} sealed anew")
