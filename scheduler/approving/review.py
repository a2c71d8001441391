"""What a reviewer had before him, fixed by digests: decks, the value that waits, the version with card, metrics and
lineage. The same is computed again later, to see whether it is still so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from flyteidl.core import literals_pb2

from artifacts.exceptions import CausewayError
from artifacts.literals import marks
from artifacts.models import ArtifactVersion
from artifacts.store import store
from lineage.walks import ancestry
from scheduler.models import Gate, NodeExecution
from scheduler.subjects import subjects_of

MISSING = "missing"  # instead of a digest, of an object that is not there
ANCESTORS = 2_000  # nearest ones whose identities are fixed


class Review(NamedTuple):
    """`parts`: by what people call it, its digest or plain value; `digest`: of all of them."""

    parts: dict[str, Any]
    digest: str
    version: ArtifactVersion | None  # that is decided about


def digest_of(parts: Mapping[str, Any]) -> str:
    """SHA-256, hexadecimal, of the parts as JSON with sorted keys and without spaces."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def review_of(gate: Gate) -> Review:
    """As it is now: decks of what had ended when the gate was reached, the value that waits, the inputs, the version
    that is decided about and those that the value carries. About ten queries, and what lies in the store is read.
    """
    passing = _bytes_at(gate.node.input_uri) if gate.node is not None else b""
    found = sorted(_carried(passing))
    subject = subjects_of([gate]).get(gate.pk) if not found else None
    if subject is not None:
        found.append(subject.pk)
    rows = ArtifactVersion.objects.select_related("artifact").in_bulk(found)
    parts: dict[str, Any] = {
        "inputs": _digest_at(gate.execution.inputs_uri),
        **({"value that waits": hashlib.sha256(passing).hexdigest()} if passing else {}),
        **{f"deck of {name}": _digest_at(uri) for name, uri in _decks(gate)},
    }
    for pk in sorted(rows):
        parts |= _of_version(rows[pk])
    about = next((rows[pk] for pk in found if pk in rows), None)
    return Review(parts, digest_of(parts), about)


def review_of_version(version: ArtifactVersion) -> Review:
    """Of a version alone, where that is all there is to decide about."""
    parts = _of_version(version)
    return Review(parts, digest_of(parts), version)


def review_again(gate: Gate | None, reviewed: Mapping[str, Any]) -> dict[str, Any]:
    """The same parts as were reviewed, as they are now: what came afterwards is not among them."""
    decks = dict(_decks(gate)) if gate is not None else {}
    ids = sorted({int(name.split()[1]) for name in reviewed if name.startswith("version ")})
    rows = ArtifactVersion.objects.select_related("artifact").in_bulk(ids)
    now: dict[str, Any] = {}
    for pk in ids:
        now |= _of_version(rows[pk]) if pk in rows else {}
    for name in reviewed:
        if gate is None:
            continue
        if name == "inputs":
            now[name] = _digest_at(gate.execution.inputs_uri)
        elif name == "value that waits" and gate.node is not None:
            now[name] = hashlib.sha256(_bytes_at(gate.node.input_uri)).hexdigest()
        elif name.startswith("deck of "):
            now[name] = _digest_at(decks.get(name[len("deck of ") :], ""))
    return now


def _decks(gate: Gate) -> list[tuple[str, str]]:
    """Of nodes that had ended when the gate was reached: what others make later is nothing that was reviewed."""
    rows = NodeExecution.objects.filter(execution=gate.execution_id).exclude(deck_uri="")
    if gate.waiting_since is not None:
        rows = rows.filter(ended_at__lte=gate.waiting_since)
    return list(rows.order_by("node_id").values_list("node_id", "deck_uri"))


def _of_version(version: ArtifactVersion) -> dict[str, Any]:
    """Its value, card, metrics and lineage, and the deck of what made it, each under a name of its own."""
    name = f"version {version.pk} {version.artifact}@{version.version}"
    value = {
        "value": hashlib.sha256(bytes(version.literal)).hexdigest(),
        "content_hash": version.content_hash,
        "partitions": version.partitions,
        "time": version.time_partition.isoformat() if version.time_partition is not None else None,
    }
    card = _digest_at(version.card_uri) if version.card_uri else hashlib.sha256(version.card.encode()).hexdigest()
    deck = _deck_of(version)
    return {
        name: value,
        f"{name}: metrics": dict(version.metrics),
        f"{name}: card": card,
        f"{name}: lineage": _lineage(version.pk),
        **({f"{name}: deck": _digest_at(deck)} if deck else {}),
    }


def _deck_of(version: ArtifactVersion) -> str:
    """Where the deck of the node lies that made it; empty where there is none."""
    if version.execution_key.count("/") != 2:
        return ""
    project, domain, name = version.execution_key.split("/")
    rows = NodeExecution.objects.filter(
        execution__project=project, execution__domain=domain, execution__name=name, node_id=version.node_id
    )
    return rows.values_list("deck_uri", flat=True).first() or ""


def _lineage(pk: int) -> str:
    """Of what it was made of, however far back, and what that was made of: never changed, so a change is forgery."""
    reached = ancestry(pk, limit=ANCESTORS)
    ids = sorted((one.artifact, one.version) for one in reached.versions.values())
    steps = sorted(reached.graph.steps)
    return digest_of({"versions": ids, "steps": steps})


def _carried(passing: bytes) -> set[int]:
    found: set[int] = set()
    for literal in literals_pb2.LiteralMap.FromString(passing).literals.values():
        found |= marks(literal)[0]
    return found


def _bytes_at(uri: str) -> bytes:
    try:
        return store().get(uri) if uri else b""
    except (CausewayError, OSError):
        return b""


def _digest_at(uri: str) -> str:
    try:
        return store().sha256(uri) if uri else MISSING
    except (CausewayError, OSError):
        return MISSING
