"""The first turns of several executions in one transaction: what is launched in a burst begins together.

It spares each a commit, and asks and writes for all of them at once. Nothing of an execution that nobody has looked at
yet can have ended, or wait for it, so that its first turn mostly reads nothing but the cache. One that writes before it
has been decided what follows (it publishes, claims an entry of the cache, launches a child, opens a gate), and one that
fails, is evaluated alone, as all of them are where the transaction fails.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from scheduler.advance import Steps, advance, close, evaluation, pending
from scheduler.asked_once import asking_once
from scheduler.executors import registry
from scheduler.models import Execution
from scheduler.phases import ExecutionPhase
from scheduler.quotas import admission
from scheduler.shell.flush import flush
from scheduler.shell.prepare import Asked
from scheduler.shell.reuse import Want, kept_for, look_up
from scheduler.shell.turn import Turn
from scheduler.statements import try_to_lock

logger = logging.getLogger(__name__)


def advance_together(execution_ids: Sequence[int]) -> None:
    """As `advance` for each; those for which there is no news, as somebody else was faster, cost a share of a look."""
    if len(execution_ids) > 1:
        _begin(execution_ids)
    news = pending(execution_ids)  # of those that began, too: what came meanwhile is for whoever held them
    for pk in execution_ids:
        if pk in news:
            try:
                advance(pk)
            except Exception:  # the others go on; the sweep comes back to it
                logger.exception("execution %s could not go on", pk)


def _begin(execution_ids: Sequence[int]) -> None:
    """The first turns of those that can take them together."""
    try:
        with transaction.atomic(), asking_once():
            questions = (admission.HAS_QUOTAS, *registry.questions())
            found, (has_quotas, *told) = try_to_lock(Execution, execution_ids, *questions)
            if has_quotas:  # which go by what began before
                return
            turns = [Turn(execution, timezone.now(), told=told) for execution in found if _is_untouched(execution)]
            with ExitStack() as settled:
                for turn in turns:
                    settled.enter_context(turn.literals.settled())
                turns = _evaluate(turns)
                if turns:
                    flush(*turns)
            close(*turns)
    except Exception:
        logger.exception("executions %s could not begin together", execution_ids)


def _is_untouched(execution: Execution) -> bool:
    """Nobody has looked at it, or broken down over it, and it is what it is by itself."""
    touched = execution.phase != ExecutionPhase.UNDEFINED or execution.counters or execution.waits_since
    return not touched and execution.reference_id is None and execution.parent_node_id is None


class _Alone(BaseException):
    """The turn writes, or locks, before all of it is decided. No error that anybody below may take for one."""


def _only_reading(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
    """A wrapper of Django's around every statement."""
    text = str(sql).upper()
    if not text.lstrip().startswith("SELECT") or " FOR " in text or "_LOCK" in text:
        raise _Alone
    return execute(sql, params, many, context)


def _evaluate(turns: Iterable[Turn]) -> list[Turn]:
    """Those for which all is decided, side by side: what they want of the cache is asked at once. Of the others
    nothing is written.
    """
    decided: list[Turn] = []
    going: list[tuple[Turn, Steps, Asked | None]] = [(turn, evaluation(turn), None) for turn in turns]
    with connection.execute_wrapper(_only_reading):
        while going:
            asking = list(_ask(going, decided))
            kept = kept_for({want.key for turn, _, wants in asking if not turn.spec.overwrite_cache for want in wants})
            going = list(_answer(asking, kept))
    return decided


def _ask(
    going: Iterable[tuple[Turn, Steps, Asked | None]], decided: list[Turn]
) -> Iterator[tuple[Turn, Steps, list[Want]]]:
    for turn, steps, answer in going:
        try:
            wants = steps.send(answer)
        except StopIteration:
            decided.append(turn)
        except (_Alone, Exception) as error:  # noqa: BLE001
            _left(turn, error)
        else:
            yield turn, steps, wants


def _answer(
    asking: Iterable[tuple[Turn, Steps, list[Want]]], kept: dict[str, str]
) -> Iterator[tuple[Turn, Steps, Asked | None]]:
    for turn, steps, wants in asking:
        try:
            answer = look_up(turn, wants, kept)
        except (_Alone, Exception) as error:  # noqa: BLE001
            _left(turn, error)
        else:
            yield turn, steps, answer


def _left(turn: Turn, error: BaseException) -> None:
    """Alone it is met again, whatever it is."""
    if not isinstance(error, _Alone):
        logger.warning("execution %s: evaluated alone: %s", turn.execution.pk, error)
