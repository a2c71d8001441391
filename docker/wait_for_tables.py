"""Returns when the database has the tables of this release: what begins before them waits here, at next to no cost.

`manage.py migrate --check` says so for sure, and takes seconds of CPU time. A dozen pods that ask it again and again on
a small cluster keep the one that makes the tables from its work; so it is asked once, after this.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import psycopg

ROOT = Path(__file__).parents[1]
LOOK_SECONDS = 3.0
APPS = ("artifacts", "audit", "lineage", "scheduler")


def of_this_release(root: Path = ROOT) -> set[tuple[str, str]]:
    """Its migrations, by app and name."""
    return {(app, file.stem) for app in APPS for file in (root / app / "migrations").glob("[0-9]*.py")}


def are_there(url: str, wanted: set[tuple[str, str]]) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            return wanted <= set(connection.execute("SELECT app, name FROM django_migrations").fetchall())
    except psycopg.Error:  # no server, no database, no table: not yet
        return False


def main() -> None:
    wanted = of_this_release()
    while not are_there(os.environ["DATABASE_URL"], wanted):
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    main()
