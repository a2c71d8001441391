from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from scheduler.actions import clusters, connections, secrets, subscriptions
from scheduler.secrets.cipher import CannotOpen


class Command(BaseCommand):
    help = (
        "Seal secrets, connections, kubeconfigs and those of subscriptions with the first key of CAUSEWAY_SECRETS_KEY; "
        "the others are not needed then."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            number = sum(kind.reseal() for kind in (secrets, connections, clusters, subscriptions))
        except CannotOpen as error:
            raise CommandError(error.message) from None
        self.stdout.write(f"{number} sealed anew")
