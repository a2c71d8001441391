from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from console import moving


class Command(BaseCommand):
    help = "After a local object store was moved: lets every address in rows and objects name the new directory."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("old", help="the absolute path that the store had")
        parser.add_argument("new", help="the absolute path that it has now")

    def handle(self, *, old: str, new: str, **_: object) -> None:
        old, new = old.rstrip("/"), new.rstrip("/")
        if not old.startswith("/") or not new.startswith("/"):
            raise CommandError("both must be absolute paths")
        if not Path(new).is_dir():
            raise CommandError(f"there is no directory {new}: copy the objects first")
        if old == new:
            return
        objects = moving.move_objects(Path(new), old, new)
        rows = moving.move_rows(old, new)
        self.stdout.write(f"{rows} rows and {objects} objects name {new} now")
