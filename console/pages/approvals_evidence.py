"""What a reviewer goes by: the version that waits, beside the one in use and the last one approved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest

from artifacts.cards import render_card
from artifacts.measures import Measure, measures_of
from artifacts.models import ArtifactVersion
from console.accounts import access
from console.card_images import image_path
from console.comparison import Line, compare_versions
from console.pages.comparing import MeasureRow, measure_row
from console.pages.values import Values, spell
from lineage.walks import trained_on
from scheduler.models import Gate
from scheduler.subjects import precedents_of, subjects_of

CHANGES_SHOWN, TRAINED_SHOWN = 30, 20


def evidence_context(request: HttpRequest, gate: Gate, passing: Values) -> dict[str, Any]:
    """Empty where nothing is known that is decided about, or the user may not read it. `passing`: what flows through
    the gate; where that is a version, it is decided about.
    """
    carried = next((value.version for value in passing.rows if value.version is not None), None)
    version = carried or subjects_of([gate]).get(gate.pk)
    may_read = access.reader(request.user)
    if version is None or not may_read(*version.artifact.key[:2]):
        return {}
    whole = ArtifactVersion.objects.select_related("artifact").get(pk=version.pk)
    precedents = precedents_of(whole, may_read=may_read)
    against = precedents.standing or precedents.approved
    trained = [(one, depth) for one, depth in trained_on(whole.pk) if may_read(one.project, one.domain)]
    return {
        "version": whole,
        "standing": precedents.standing,
        "standing_alias": precedents.alias,
        "last_approved": precedents.approved,
        "against": against,
        "evidence": _measures(whole, against),
        "card": render_card(whole, image_url=image_path),
        "trained": trained[:TRAINED_SHOWN],
        **_changes(request, whole, precedents.approved),
    }


def _measures(version: ArtifactVersion, against: ArtifactVersion | None) -> list[MeasureRow]:
    """The metrics, beside those of what it is held against."""
    things = [version.metrics] if against is None else [against.metrics, version.metrics]
    found: Sequence[Measure] = measures_of(things)
    return [measure_row(one) for one in found]


def _changes(request: HttpRequest, version: ArtifactVersion, approved: ArtifactVersion | None) -> dict[str, Any]:
    """What is different from the last one approved: inputs, facts, and what they were made of."""
    if approved is None:
        return {"changes": [], "made": []}
    before = ArtifactVersion.objects.select_related("artifact").get(pk=approved.pk)
    found = compare_versions(request.user, [before, version])
    lines: list[Line] = [line for line in (*found.inputs, *found.schema, *found.facts) if line.differs]
    shown = [(line.name, [None if value is None else spell(value)[:200] for value in line.values]) for line in lines]
    return {"changes": shown[:CHANGES_SHOWN], "made": found.ancestry, "card_changed": bool(found.cards)}
