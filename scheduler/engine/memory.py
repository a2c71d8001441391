"""What a node remembers from one evaluation to the next, and how rows keep it: only what is not as it was at first.

The names in the rows are those of the fields; what a map remembers of its items lies among the rest. Two of them are
asked for in SQL: `size` is there for every map that began, `reused` where something need not run (shell.recovery).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Items:
    """Of a map, while its items run: what is in flight, what failed for good, what was tried before; never all."""

    size: int = 0
    next: int = 0  # number of the first item that was not looked at yet
    ok: int = 0  # how many succeeded
    bad: list[int] = field(default_factory=list)  # numbers of those given up
    live: dict[str, int] = field(default_factory=dict)  # attempt in flight, by the item's number
    # Of items that failed: [attempts, user failures, system failures]
    tried: dict[str, list[int]] = field(default_factory=dict)
    resting: dict[str, float] = field(default_factory=dict)  # when items are tried again: seconds since the epoch
    hits: list[int] = field(default_factory=list)  # numbers of those still to come whose outputs are known
    reused: int = 0  # how many did not have to run
    messages: list[str] = field(default_factory=list)  # of the first ones given up
    flying: int = 0  # how many run, of items that are nodes: each knows its phase by itself
    # base64 of the core.VariableMap of what items publish; None until the first that ended has said so
    declared: str | None = None

    @property
    def in_flight(self) -> int:
        return self.flying + len(self.live)

    def copy(self) -> Items:
        """One whose lists and tables may be changed without this one noticing."""
        return Items(
            self.size,
            self.next,
            self.ok,
            list(self.bad),
            dict(self.live),
            dict(self.tried),
            dict(self.resting),
            list(self.hits),
            self.reused,
            list(self.messages),
            self.flying,
            self.declared,
        )


_ALWAYS = ("size", "next", "ok", "bad", "live", "tried")  # in the row of every map that began
_ITEMS = tuple(Items.__slots__)


@dataclass(slots=True)
class Memory:
    failing: bool = False  # of a parent: its failure node runs
    slots: int = 0  # of max_parallelism: in use in the whole execution, or by the items of a map
    parked: int = 0  # of the execution: how many nodes wait for a slot
    until: float | None = None  # of a task, a map: when it times out as a whole, in seconds since the epoch
    held: bool = False  # of a task: somebody else computes the same
    backoff: bool = False  # of a task: it waits to be tried again
    reused: bool = False  # of a task: it did not have to run
    chosen: str = ""  # of a branch: the node it took
    items: Items | None = None  # of a map that began

    def copy(self) -> Memory:
        return Memory(
            self.failing,
            self.slots,
            self.parked,
            self.until,
            self.held,
            self.backoff,
            self.reused,
            self.chosen,
            self.items.copy() if self.items is not None else None,
        )

    def pack(self) -> dict[str, Any]:
        """For a row."""
        packed = {name: value for name in _PLAIN if (value := getattr(self, name))}
        if (items := self.items) is not None:
            packed |= {name: getattr(items, name) for name in _ALWAYS}
            packed |= {name: value for name in _RATHER if (value := getattr(items, name))}
            if items.declared is not None:
                packed["declared"] = items.declared
        return packed

    @classmethod
    def unpack(cls, packed: Mapping[str, Any]) -> Memory:
        """Of a row; what it says that has no name here is of no use any more."""
        if not packed:
            return cls()
        plain = {name: packed[name] for name in _PLAIN if name in packed}
        if "size" not in packed:
            return cls(**plain)
        plain.pop("reused", None)
        return cls(items=Items(**{name: packed[name] for name in _ITEMS if name in packed}), **plain)


_PLAIN = tuple(name for name in Memory.__slots__ if name != "items")
_RATHER = tuple(name for name in _ITEMS if name not in (*_ALWAYS, "declared"))
