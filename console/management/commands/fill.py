from __future__ import annotations

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from artifacts.exceptions import CausewayError
from console.filling.company import Sizes
from console.filling.filling import MOST_EXECUTIONS, MOST_VERSIONS, fill


class Command(BaseCommand):
    help = "Fills an installation with what a company of three teams would have done in sixty days."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sizes = Sizes()
        parser.add_argument("--versions", type=int, default=sizes.versions, help=f"up to {MOST_VERSIONS:,}")
        parser.add_argument("--executions", type=int, default=sizes.executions, help=f"up to {MOST_EXECUTIONS:,}")
        parser.add_argument("--map-items", type=int, default=sizes.map_items, help="of each map")
        parser.add_argument("--storm", type=int, default=sizes.storm, help="reactions of the last quarter of an hour")
        parser.add_argument("--waiting", type=int, default=sizes.waiting, help="approvals that wait")
        parser.add_argument("--seed", type=int, default=sizes.seed, help="another one makes up other numbers")
        parser.add_argument("--more", action="store_true", help="also where there is something already")

    def handle(
        self,
        *,
        versions: int,
        executions: int,
        map_items: int,
        storm: int,
        waiting: int,
        seed: int,
        more: bool,
        verbosity: int,
        **_: object,
    ) -> None:
        sizes = Sizes(versions, executions, map_items, storm, waiting, seed)
        try:
            fill(sizes, more=more, say=self.stdout.write if verbosity else lambda line: None)
        except CausewayError as error:
            raise CommandError(error.message) from None
