"""Readers of the SQL views, as the tests make them: real login roles of the test's server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.core.management import call_command
from django.db import connection

from console.accounts.models import Reader, User
from console.sqlviews import readers

MINE = f"t{os.getpid()}"  # roles are the server's, which test runs share


def conninfo(role: str, secret: str) -> dict[str, Any]:
    wanted = connection.settings_dict
    found = {"host": wanted["HOST"], "port": wanted["PORT"], "dbname": wanted["NAME"], "user": role, "password": secret}
    return {name: value for name, value in found.items() if value}


@contextmanager
def reader(*places: str, name: str = "a", **over: Any) -> Iterator[tuple[Reader, dict[str, Any]]]:
    """One who sees these places, and how to connect as it."""
    call_command("harden_database", run=True)
    root, _ = User.objects.get_or_create(username="root", defaults={"is_superuser": True})
    limits = readers.Limits(**over) if over else readers.Limits()
    made, secret = readers.make(
        f"{MINE}_{name}", [readers.place_of(place) for place in places], limits=limits, actor=root
    )
    try:
        yield made, conninfo(made.role, secret)
    finally:
        connection.rollback() if connection.in_atomic_block else None
        for row in Reader.objects.filter(pk=made.pk):
            readers.remove(row, actor=root)


def rows(conninfo: dict[str, Any], query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(**conninfo) as session:
        return session.execute(query).fetchall()  # type: ignore[arg-type]
