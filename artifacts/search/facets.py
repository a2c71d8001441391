"""How what was found spreads: counts of its first few, with the filter that a click would add."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from artifacts.models import Artifact
from artifacts.producers import name_of
from artifacts.search.filters import MOMENTS
from artifacts.search.language import Condition

FACETED = 500  # the newest so many of what was found are counted
FACETED_AT_LEAST = 100  # fewer, but so many, when it would take long to find the others
COUNTED = ("kind", "artifact_id", "producer", "partitions")
TOP = 20  # values of a facet
KEYS = 10  # partition keys with a facet of their own


class Facet(NamedTuple):
    value: str
    versions: int


class Facets(NamedTuple):
    """`counted` versions; `more` when there are others behind them. `whole`: the facets of which all versions are
    counted, so that only FACETED means: or more.
    """

    values: dict[str, list[Facet]]
    counted: int
    more: bool
    whole: frozenset[str] = frozenset()

    def spell(self, label: str, number: int) -> str:
        """A count, with a plus where there may be more."""
        if label in self.whole:
            return f"{FACETED}+" if number > FACETED else str(number)
        return f"{number}+" if self.more else str(number)


def counted(kind: str, artifact: int, producer: str, partitions: str) -> tuple[Any, ...]:
    """The columns COUNTED as the database hands them over."""
    return kind, artifact, producer, json.loads(partitions)


def count(rows: Sequence[tuple[Any, ...]], *, more: bool, known: Mapping[int, Artifact] | None = None) -> Facets:
    """By kind, project, domain, name, producer and partition key (`partition.region`), most frequent first.

    `rows` hold the columns COUNTED of what was found; `more` is passed on. `known`: their artifacts, where at hand.
    """
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("kind", "project", "domain", "name", "by")}
    keys: dict[str, Counter[str]] = {}
    artifacts = known if known is not None else Artifact.objects.in_bulk({artifact for _, artifact, _, _ in rows})
    for kind, artifact, producer, partitions in rows:
        counts["kind"][kind] += 1
        for label in ("project", "domain", "name"):
            counts[label][getattr(artifacts[artifact], label)] += 1
        if made_by := name_of(producer):
            counts["by"][made_by.lower()] += 1
        for key, value in partitions.items():
            keys.setdefault(f"partition.{key}", Counter())[value] += 1
    widest = sorted(keys.items(), key=lambda one: (-one[1].total(), one[0]))[:KEYS]
    values = {label: _top(counter) for label, counter in [*counts.items(), *widest]}
    return Facets(values, len(rows), more)


def _top(counter: Counter[str]) -> list[Facet]:
    return [Facet(*one) for one in sorted(counter.items(), key=lambda one: (-one[1], one[0]))[:TOP]]


def filter_of(label: str, value: str) -> str:
    """What to type for a value of a facet."""
    if label.startswith("partition."):
        key = label[len("partition.") :]
        plain = key.lower() not in MOMENTS and not key.startswith(("metric.", "metadata.", "partition."))
        return str(Condition(key if plain else label, "=", value))
    return str(Condition(label, ":", value))
