"""The one place that writes a firing's outcome: by the table of `scheduler.phases`, compare and set, with a history.

What a firing was before is kept on its own row, appended by the statement that moves it: a version that launches at
once is one row, written once, and every later move costs the update that it needs anyway.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL
from django.utils import timezone

from artifacts.exceptions import FailedPrecondition
from artifacts.inserting import insert_rows
from scheduler.models import TriggerFiring
from scheduler.phases import FIRING_TRANSITIONS, FiringOutcome

logger = logging.getLogger(__name__)

KEPT = 100  # moves of one firing, the latest: what finds no input for years is looked at every hour
_HISTORY = """
    CASE WHEN outcome = %s THEN history ELSE
        (CASE WHEN jsonb_array_length(history) >= %s THEN history - 0 ELSE history END)
        || jsonb_build_array(jsonb_strip_nulls(jsonb_build_object(
            'outcome', outcome, 'at', at, 'reason', nullif(reason, ''),
            'lacks', CASE WHEN lacks <> '{}' THEN to_jsonb(lacks) END
        )))
    END
"""


class FiringMoved(FailedPrecondition):
    """Somebody else moved the firing first, or it may not move there: what the caller did for it is rolled back."""


def put(firing: TriggerFiring, to: FiringOutcome, **fields: Any) -> None:
    """Write the outcome, and `fields` with it: of a new firing its row, else a move from the outcome that was read.

    Staying where it is is no move: the fields are written. FiringMoved when the row is not as it was read, or the table
    has no such move; nothing is written then.
    """
    if firing._state.adding:
        _set(firing, {"outcome": to, **fields})
        firing.save(force_insert=True)
        return
    before = FiringOutcome(firing.outcome)
    if to != before:
        if to not in FIRING_TRANSITIONS[before]:
            raise FiringMoved(f"firing {firing.pk} is {before}: it cannot become {to}")
        fields = {"at": timezone.now(), **fields}
    row = TriggerFiring.objects.filter(pk=firing.pk, outcome=before)
    if not row.update(outcome=to, history=_history(to), **fields):
        logger.info("firing %s: somebody moved it away from %s first", firing.pk, before)
        raise FiringMoved(f"firing {firing.pk} is not {before} any more")
    _set(firing, {"outcome": to, **fields})


class Ledger:
    """New firings, for one transaction; `write` writes them. Nothing where there is a row of the same trigger and
    happening.
    """

    def __init__(self) -> None:
        self._firings: list[TriggerFiring] = []

    def put(self, firing: TriggerFiring, to: FiringOutcome, **fields: Any) -> None:
        _set(firing, {"outcome": to, **fields})
        self._firings.append(firing)

    def write(self) -> None:
        """When the executions of all of them are written."""
        for firing in self._firings:
            firing.execution = firing.execution  # with the key that it has by now
        insert_rows(self._firings, unless_there=True)


def put_once(firing: TriggerFiring, to: FiringOutcome, **fields: Any) -> None:
    """As `put` for a new firing; nothing where the ledger has a row of the same trigger and happening."""
    ledger = Ledger()
    ledger.put(firing, to, **fields)
    ledger.write()


def put_all(firings: QuerySet[TriggerFiring], to: FiringOutcome, **fields: Any) -> int:
    """As `put` for many, in one statement: those that may not move there stay as they are. The number written."""
    allowed = [before for before, moves in FIRING_TRANSITIONS.items() if to in moves or before == to]
    fields = {"at": timezone.now(), **fields}
    return firings.filter(outcome__in=allowed).update(outcome=to, history=_history(to), **fields)


_COLUMNS = "trigger_id, version_id, happening_id, reason, published_at"


def put_selected(selected: str, parameters: Sequence[Any], to: FiringOutcome) -> None:
    """As `put_once` for the new firings that the SQL selects: (trigger, version, happening, reason, published at)."""
    statement = f"""
        INSERT INTO scheduler_triggerfiring
            ({_COLUMNS}, outcome, resolution, at, lacks, tries, generation, queued, held, history)
        SELECT {_COLUMNS}, %s, '{{}}', clock_timestamp(), '{{}}', 1, 1, false, false, '[]'
        FROM ({selected}) AS selected ({_COLUMNS})
        ON CONFLICT DO NOTHING
    """  # noqa: S608 - names of columns, and what the caller selects
    with connection.cursor() as cursor:
        cursor.execute(statement, [to, *parameters])


def _set(firing: TriggerFiring, fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        setattr(firing, name, value)


def _history(to: FiringOutcome) -> RawSQL:
    return RawSQL(_HISTORY, [to.value, KEPT])  # noqa: S611 - no text of anybody's is in it
