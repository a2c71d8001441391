"""What is different between two versions: what they were made of, and what is known of them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from flyteidl.core import literals_pb2, types_pb2

from artifacts.cards import card_text
from artifacts.literals import describe_type, to_json
from artifacts.models import ArtifactVersion
from artifacts.periods import format_period
from lineage.walks import AncestryChange, compare_ancestries

CARD_LINES = 2000


@dataclass(frozen=True)
class Comparison:
    """`differences` is by what differs: name to (first, second), None where one has none."""

    ancestry: list[AncestryChange]
    differences: dict[str, tuple[Any, Any]]
    card: list[str]  # a unified diff, empty when the cards are the same


def compare_versions(first: ArtifactVersion, second: ArtifactVersion) -> Comparison:
    """Ancestries by artifact; partitions, metadata, metrics and the rest by name."""
    facts = _facts(first), _facts(second)
    names = sorted(facts[0].keys() | facts[1].keys())
    pairs = {name: (facts[0].get(name), facts[1].get(name)) for name in names}
    differences = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    before, after = (card_text(version).splitlines()[:CARD_LINES] for version in (first, second))
    diff = difflib.unified_diff(before, after, fromfile=first.version, tofile=second.version, lineterm="", n=2)
    return Comparison(compare_ancestries(first, second), differences, list(diff))


def _facts(version: ArtifactVersion) -> dict[str, Any]:
    literal_type = types_pb2.LiteralType.FromString(bytes(version.literal_type))
    literal = literals_pb2.Literal.FromString(bytes(version.literal))
    facts: dict[str, Any] = {
        "artifact": str(version.artifact),
        "kind": version.kind,
        "type": describe_type(literal_type),
        "producer": version.producer,
        "created by": version.created_by,
        "size": version.size_bytes,
        "content hash": version.content_hash or None,
    }
    if version.time_partition is not None:
        facts["time partition"] = format_period(version.time_partition, version.artifact.granularity)
    if not version.uri:
        facts["value"] = to_json(literal, literal_type, exact=True)
    for title, values in (
        ("partition", version.partitions),
        ("metadata", version.metadata),
        ("metric", version.metrics),
    ):
        facts |= {f"{title} {name}": value for name, value in values.items()}
    return facts
