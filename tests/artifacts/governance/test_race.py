"""Many at once: the history of a pointer has no gap and no move twice, whoever is killed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import pytest
from django.db import connection, transaction

from artifacts.actions.aliases import move_alias
from artifacts.exceptions import CausewayError
from artifacts.governance.checks import Report, report
from artifacts.governance.pointers import set_alias_policy
from artifacts.models import Alias, AliasMove, Happening
from scheduler.happenings import handle, unhandled
from tests.artifacts.governance.making import APPROVER, auc_check, model, settle, the_artifact

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(Exception):
    """A worker dies: its transaction is gone."""


def at_once(*work: Callable[[], None]) -> None:
    together = threading.Barrier(len(work))
    problems: list[BaseException] = []

    def run(one: Callable[[], None]) -> None:
        together.wait()
        try:
            one()
        except CausewayError:  # refused, as it may be
            pass
        except BaseException as error:  # noqa: BLE001 - told by the test
            problems.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not problems


def handling(*, dies: bool) -> Callable[[], None]:
    """A worker that handles what is there, and dies in the middle of each once before it does."""

    def work() -> None:
        for pk in unhandled(limit=100):
            if dies:
                with pytest.raises(Killed), transaction.atomic():
                    handle(pk)
                    raise Killed
            handle(pk)

    return work


def history() -> list[tuple[str | None, str | None]]:
    return list(AliasMove.objects.order_by("pk").values_list("from_version__version", "to_version__version"))


def test_ten_versions_race_for_champion(valkey: object) -> None:
    model("v0", auc=0.9)
    auc_check()
    rules = {"checks": ["good"], "automatic": True, "fall_back": True}
    set_alias_policy(the_artifact(), "champion", rules, actor="root")

    def client(numbers: range) -> Callable[[], None]:
        def work() -> None:
            for number in numbers:
                version = model(f"v{number}", auc=0.9 if number % 3 else 0.5)
                with suppress(CausewayError):  # the policy refuses every third
                    move_alias(version, "champion", actor="bob", mover=APPROVER)

        return work

    clients = [client(range(start, 11, 4)) for start in (1, 2, 3, 4)]
    at_once(*clients, handling(dies=True), handling(dies=False))
    settle()
    moves = history()
    assert all(after[0] == before[1] for before, after in zip(moves, moves[1:], strict=False))
    assert not {to for _, to in moves} & {"v3", "v6", "v9"}
    assert Alias.objects.get().version.version == moves[-1][1]
    assert Happening.objects.filter(kind="alias.moved").count() == len(moves)


def test_one_failed_check_falls_back_once_whoever_is_killed(valkey: object) -> None:
    model("v0", auc=0.9)
    auc_check()
    set_alias_policy(the_artifact(), "champion", {"checks": ["good"], "fall_back": True}, actor="root")
    settle()
    bad = model("v1", auc=0.95)
    settle()
    move_alias(bad, "champion", actor="bob", mover=APPROVER)
    settle()
    report(bad, Report("good", value=0.1), actor="monitor")
    at_once(*[handling(dies=dies) for dies in (True, False, True, False)])
    settle()
    assert history() == [(None, "v1"), ("v1", "v0")]
    assert Happening.objects.filter(kind="alias.fallen_back").count() == 1
