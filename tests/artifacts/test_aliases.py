from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import connection, transaction

from artifacts.actions.aliases import NOWHERE, AliasMoved, drop_alias, move_alias
from artifacts.actions.retention import remove
from artifacts.exceptions import FailedPrecondition, InvalidArgument, NotFound
from artifacts.models import Alias, AliasMove
from tests.artifacts.publishing import published


@pytest.mark.django_db
def test_it_moves_and_keeps_the_history() -> None:
    first, second = published("m", 1), published("m", 2)
    move_alias(first, "champion", actor="ada", reason="best so far")
    move_alias(second, "champion", actor="bob", expected=first.version)
    move_alias(second, "champion", actor="bob")  # changes nothing
    drop_alias(first.artifact, "champion", actor="ada")
    moves = [(m.from_version, m.to_version, m.actor, m.reason) for m in AliasMove.objects.order_by("pk")]
    assert moves == [(None, first, "ada", "best so far"), (first, second, "bob", ""), (second, None, "ada", "")]
    assert not Alias.objects.exists()


@pytest.mark.django_db
def test_it_refuses_a_move_from_where_it_is_not() -> None:
    first, second = published("m", 1), published("m", 2)
    with pytest.raises(AliasMoved, match="names no version"):
        move_alias(first, "champion", actor="ada", expected=second.version)
    move_alias(first, "champion", actor="ada", expected=NOWHERE)
    with pytest.raises(AliasMoved, match=f"'champion' names {first.version}, not {second.version}"):
        move_alias(second, "champion", actor="ada", expected=second.version)
    with pytest.raises(AliasMoved):
        move_alias(second, "champion", actor="ada", expected=NOWHERE)


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["latest", "", "a b", "1st", "x" * 65, "a/b"])
def test_it_refuses_names(name: str) -> None:
    with pytest.raises(InvalidArgument):
        move_alias(published("m", 1), name, actor="ada")


@pytest.mark.django_db
def test_it_cannot_drop_what_is_not_there() -> None:
    with pytest.raises(NotFound):
        drop_alias(published("m", 1).artifact, "champion", actor="ada")


@pytest.mark.django_db(transaction=True)
def test_one_of_two_moves_at_once_wins(valkey: object) -> None:
    versions = [published("m", 1), published("m", 2)]
    together = threading.Barrier(2)
    lost: list[str] = []

    def work(number: int) -> None:
        together.wait()
        try:
            move_alias(versions[number], "champion", actor=str(number), expected=NOWHERE)
        except AliasMoved as error:
            lost.append(error.message)
        connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lost) == 1 and AliasMove.objects.count() == 1


@pytest.mark.django_db
def test_it_cannot_name_a_removed_version() -> None:
    version = published("m", 1)
    remove([version], actor="ada", reason="old")
    with pytest.raises(FailedPrecondition, match="was removed: an alias cannot name it"):
        move_alias(version, "champion", actor="ada")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("alias_first", [True, False])
def test_an_alias_and_a_removal_at_once_do_not_both_succeed(valkey: object, alias_first: bool) -> None:
    version = published("m", 1)
    done: list[str] = []
    steps: dict[str, Callable[[], object]] = {
        "alias": lambda: move_alias(version, "champion", actor="ada"),
        "removal": lambda: remove([version], actor="ada", reason="old"),
    }
    first, second = ("alias", "removal") if alias_first else ("removal", "alias")

    def work() -> None:
        try:
            with pytest.raises(FailedPrecondition):
                steps[second]()
            done.append(second)
        finally:
            connection.close()

    other = threading.Thread(target=work)
    with transaction.atomic():
        steps[first]()
        other.start()
        other.join(0.3)  # it waits for this transaction's end
    other.join()
    assert done == [second]
