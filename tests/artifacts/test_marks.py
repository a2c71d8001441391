"""How far a table was read: each row once, none left out, whatever server the database came from."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, transaction

from artifacts import marks
from artifacts.models import Artifact, PartitionsMark
from tests.transactions import held, wait_for_others

pytestmark = pytest.mark.django_db(transaction=True)
TABLE = Artifact._meta.db_table


def artifact(name: str) -> int:
    return Artifact.objects.create(project="p", domain="d", name=name).pk


def mark() -> PartitionsMark:
    return PartitionsMark.objects.first() or PartitionsMark()


def read(*, turns: int = 3, most: int = 100, waiting: bool = False) -> list[int]:
    """Keys of the rows that so many turns are given. `waiting`: while a transaction is under way."""
    found = []
    for turn in range(turns):
        if turn and not waiting:
            wait_for_others()
        with transaction.atomic():
            after, upto = marks.step(mark(), TABLE, most=most)
            found += list(
                Artifact.objects.filter(pk__gt=after, pk__lte=upto).order_by("pk").values_list("pk", flat=True)
            )
    return found


def test_a_new_mark_begins_with_what_comes_from_now_on() -> None:
    artifact("before")
    assert read() == []
    after = artifact("after")
    assert read() == [after]
    assert read() == []


def test_no_more_than_asked_are_given_at_a_time() -> None:
    read()
    made = [artifact(f"a{n}") for n in range(5)]
    assert read(turns=1) == []  # it waits for those that were under way
    wait_for_others()
    assert [read(turns=1, most=2) for _ in range(4)] == [made[:2], made[2:4], made[4:], []]


def test_a_row_whose_transaction_ends_late_is_waited_for() -> None:
    read()
    keys: list[int] = []
    with held(lambda: keys.append(artifact("late"))):
        keys.append(artifact("soon"))
        assert read(waiting=True) == []
    wait_for_others()
    assert read() == keys


def test_a_row_is_waited_for_whose_transaction_is_the_last_that_began() -> None:
    """PostgreSQL's snapshots count the transactions that are over, so they end before this one."""
    read()
    keys: list[int] = []
    with held(lambda: keys.append(artifact("late"))):
        found = read(waiting=True)
    assert found + read() == keys


def test_a_row_that_has_its_number_before_its_transaction_has_one_is_waited_for() -> None:
    """PostgreSQL gives a transaction its number when it writes the first row, and the row its key before that."""
    read()
    artifact("before")  # else drawing a key would be what its transaction writes first
    numbered, go, keys = threading.Event(), threading.Event(), []

    def slowly() -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"LOCK TABLE {TABLE} IN ROW EXCLUSIVE MODE")  # as INSERT does, before it draws keys
                cursor.execute("SELECT nextval(pg_get_serial_sequence(%s, 'id'))", [TABLE])
                keys.append(cursor.fetchone()[0])
                cursor.execute("SELECT pg_current_xact_id_if_assigned() IS NULL")
                assert cursor.fetchone()[0]
                numbered.set()
                go.wait(10)
                Artifact.objects.create(pk=keys[0], project="p", domain="d", name="late")
                written.set()
                end.wait(10)
        finally:
            connection.close()

    written, end = threading.Event(), threading.Event()
    thread = threading.Thread(target=slowly)
    thread.start()
    assert numbered.wait(10)
    found = read(turns=1)
    go.set()
    assert written.wait(10)
    found += read()
    end.set()
    thread.join()
    assert keys[0] in found + read()


def test_a_restored_database_does_not_wait_for_transactions_of_the_server_it_came_from() -> None:
    read()
    with transaction.atomic():
        there = mark()
        there.ahead_xid += 10**9  # a server that had long been used
        there.save()
    made = artifact("here")
    assert read() == [made]
    assert read() == []
