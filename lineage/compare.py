"""What is different between versions: what they were made of, and what is known of them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flyteidl.core import literals_pb2, types_pb2

from artifacts.cards import card_text
from artifacts.literals import columns_of, describe_type, to_json
from artifacts.models import ArtifactVersion
from artifacts.periods import format_period
from lineage.walks import AncestryChange, VersionNode, ancestry, compare_ancestries

CARD_LINES = 2000
ANCESTORS = 2_000  # of each of several versions


@dataclass(frozen=True)
class Comparison:
    """`differences` is by what differs: name to (first, second), None where one has none."""

    ancestry: list[AncestryChange]
    differences: dict[str, tuple[Any, Any]]
    card: list[str]  # a unified diff, empty when the cards are the same


def compare_versions(first: ArtifactVersion, second: ArtifactVersion) -> Comparison:
    """Ancestries by artifact; partitions, metadata, metrics and the rest by name."""
    facts = facts_of(first), facts_of(second)
    names = sorted(facts[0].keys() | facts[1].keys())
    pairs = {name: (facts[0].get(name), facts[1].get(name)) for name in names}
    differences = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    return Comparison(compare_ancestries(first, second), differences, card_diff(first, second))


def card_diff(first: ArtifactVersion, second: ArtifactVersion) -> list[str]:
    """A unified diff of the beginnings of their cards; empty when they are the same."""
    before, after = (card_text(version).splitlines()[:CARD_LINES] for version in (first, second))
    return list(difflib.unified_diff(before, after, fromfile=first.version, tofile=second.version, lineterm="", n=2))


@dataclass(frozen=True)
class Made:
    """One artifact in the ancestries of several versions: of each, the versions that not all of them descend from."""

    artifact: str
    own: list[list[VersionNode]]


def differing_ancestries(versions: Sequence[ArtifactVersion]) -> list[Made]:
    """By artifact, where not all were made of the same. Three queries for each version; the nearest ANCESTORS count."""
    ancestors = [ancestry(version.pk, limit=ANCESTORS).versions for version in versions]
    for version, found in zip(versions, ancestors, strict=True):
        found.pop(version.pk)
    shared = set.intersection(*(set(found) for found in ancestors)) if ancestors else set()
    own = [sorted((node for pk, node in found.items() if pk not in shared), key=_newest) for found in ancestors]
    names = sorted({node.artifact for found in own for node in found})
    return [Made(name, [[node for node in found if node.artifact == name] for found in own]) for name in names]


def _newest(node: VersionNode) -> int:
    return -node.pk


def schema_of(version: ArtifactVersion) -> dict[str, str]:
    """The columns of a frame, or the fields of a structure, with their types; empty for what declares none."""
    return columns_of(types_pb2.LiteralType.FromString(bytes(version.literal_type)))


def facts_of(version: ArtifactVersion) -> dict[str, Any]:
    """What is known of a version, by name."""
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
