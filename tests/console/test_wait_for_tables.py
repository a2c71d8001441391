"""What begins before the tables of its release are there waits for them, and asks Django once."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader

ROOT = Path(__file__).parents[2]


@pytest.fixture
def waiting() -> ModuleType:
    spec = importlib.util.spec_from_file_location("wait_for_tables", ROOT / "docker" / "wait_for_tables.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_it_knows_the_migrations_that_django_knows(waiting: ModuleType) -> None:
    known = {key for key in MigrationLoader(None).disk_migrations if key[0] in waiting.APPS}
    assert waiting.of_this_release() == known


@pytest.mark.django_db
def test_it_waits_for_the_last_of_them(waiting: ModuleType) -> None:
    told = connection.settings_dict
    url = f"postgresql://{told['USER']}@/{told['NAME']}?host={told['HOST']}"
    assert waiting.are_there(url, waiting.of_this_release())
    assert not waiting.are_there(url, {*waiting.of_this_release(), ("scheduler", "9999_of_a_later_release")})


def test_a_database_that_is_not_there_yet_is_waited_for(waiting: ModuleType) -> None:
    assert not waiting.are_there("postgresql://nobody@localhost:1/none", waiting.of_this_release())


def test_every_pod_that_has_to_wait_does_so(waiting: ModuleType) -> None:
    folder = ROOT / "docker" / "kubernetes" / "base"
    asking = [
        line
        for file in sorted(folder.glob("*.yaml"))
        for line in file.read_text().splitlines()
        if "migrate --check" in line
    ]
    assert len(asking) == 5 and all("python docker/wait_for_tables.py && until" in line for line in asking)
