from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from scheduler.engine.memory import Items, Memory

# As rows have held it since the first release.
FORMER: list[tuple[dict[str, Any], Memory]] = [
    ({}, Memory()),
    ({"slots": 3, "parked": 1}, Memory(slots=3, parked=1)),
    ({"until": 12.5, "backoff": True}, Memory(until=12.5, backoff=True)),
    ({"reused": True}, Memory(reused=True)),
    ({"chosen": "n0-n1", "failing": True}, Memory(chosen="n0-n1", failing=True)),
    (
        {"size": 3, "next": 0, "ok": 0, "bad": [], "live": {}, "tried": {}},
        Memory(items=Items(3)),
    ),
    (
        {
            "size": 9, "next": 5, "ok": 2, "bad": [1], "live": {"3": 0}, "tried": {"4": [2, 1, 0]}, "slots": 2,
            "resting": {"4": 99.5}, "hits": [7], "reused": 2, "messages": ["[1]: no"], "flying": 1, "declared": "",
        },
        Memory(
            slots=2,
            items=Items(9, 5, 2, [1], {"3": 0}, {"4": [2, 1, 0]}, {"4": 99.5}, [7], 2, ["[1]: no"], 1, ""),
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("packed", "memory"), FORMER)
def test_rows_keep_what_they_always_kept(packed: dict[str, Any], memory: Memory) -> None:
    assert Memory.unpack(packed) == memory
    assert json.loads(json.dumps(memory.pack())) == packed


def test_what_ran_out_is_left_out_and_what_nobody_knows_is_ignored() -> None:
    """Releases before wrote zeros, and words that are gone."""
    assert Memory.unpack({"slots": 0, "held": False, "colour": "red"}) == Memory()
    assert Memory.unpack({"slots": 0}).pack() == {}


def test_a_copy_can_be_changed_alone() -> None:
    memory = FORMER[-1][1]
    copied = memory.copy()
    assert copied == memory and copied.items is not None
    changes: list[Callable[[Items], None]] = [
        lambda items: items.bad.append(8),
        lambda items: items.live.clear(),
        lambda items: items.tried.clear(),
        lambda items: items.resting.clear(),
        lambda items: items.hits.clear(),
        lambda items: items.messages.clear(),
    ]
    for change in changes:
        change(copied.items)
    copied.slots = 0
    assert Memory.unpack(FORMER[-1][0]) == memory
