"""The metrics of an artifact's newest versions as charts: a point is a version, a line a partition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.urls import reverse

from artifacts.measures import is_number
from artifacts.models import Alias, Artifact, ArtifactVersion
from artifacts.periods import shown_partitions
from artifacts.queries import newest_first
from artifacts.search import Rows
from console.pages.charts import Dot, LineChart, Series, lines
from console.pages.metrics import spell
from scheduler.subjects import Approval

CHARTED = 200  # versions, the newest


class Charted(NamedTuple):
    """As much of a version as its point and the facets beside it tell: whole rows would cost many times that."""

    kind: str
    artifact_id: int
    producer: str
    partitions: dict[str, str]
    pk: int
    version: str
    metrics: dict[str, Any]
    time_partition: datetime | None
    created_at: datetime


def newest_charted(rows: Rows) -> list[Charted]:
    plain = newest_first(rows).select_related(None).prefetch_related(None).defer(None)
    return [Charted(*row) for row in plain.values_list(*Charted._fields)[:CHARTED]]


def charts_of(
    artifact: Artifact, versions: Sequence[Charted], names: Sequence[str], decisions: Mapping[int, Sequence[Approval]]
) -> list[LineChart]:
    """A chart for each metric that two versions have."""
    aliases = _aliases(artifact, versions) if names else {}
    page = reverse("version", args=[0]).removesuffix("0/")
    points = [_Point(artifact, one, page, aliases.get(one.pk, ""), decisions.get(one.pk, ())) for one in versions]
    when = "Period" if artifact.granularity else "Published"
    return [one for name in names if (one := _chart(points, name, ("Partition", when, name))) is not None]


def _aliases(artifact: Artifact, versions: Sequence[Charted]) -> dict[int, str]:
    names: dict[int, list[str]] = defaultdict(list)
    rows = Alias.objects.filter(artifact=artifact, version__in=[one.pk for one in versions]).order_by("name")
    for pk, name in rows.values_list("version_id", "name"):
        names[pk].append(name)
    return {pk: ", ".join(some) for pk, some in names.items()}


def _chart(points: Sequence[_Point], name: str, head: tuple[str, str, str]) -> LineChart | None:
    series: dict[str, list[Dot]] = defaultdict(list)
    for point in points:
        value = point.of.metrics.get(name)
        if value is not None and is_number(value):
            series[point.line].append(point.dot(name, value))
    if sum(map(len, series.values())) < 2:
        return None
    return lines(name, [Series(*one) for one in series.items()], spell=spell, head=head)


class _Point:
    """A version on its charts: what is the same on all of them is spelled once."""

    def __init__(self, artifact: Artifact, of: Charted, page: str, aliases: str, decisions: Sequence[Approval]) -> None:
        self.of, self.aliases, self.line = of, aliases, line_of(of)
        self.at = of.time_partition or of.created_at
        self.url = f"{page}{of.pk}/"
        self.is_approved = bool(decisions) and decisions[0].approved
        self.words = " · ".join(part for part in self._parts(artifact, decisions) if part)

    def dot(self, name: str, value: float) -> Dot:
        words = f"{name} {spell(value)} · {self.words}"
        return Dot(self.at, float(value), words, self.url, self.aliases, is_ringed=self.is_approved)

    def _parts(self, artifact: Artifact, decisions: Sequence[Approval]) -> Iterator[str]:
        for key, one in shown_partitions(self.of.partitions, self.of.time_partition, artifact.granularity):
            yield f"{key}={one}"
        yield self.aliases
        if self.is_approved:
            yield f"approved by {decisions[0].gate.decided_by}"
        yield f"published {self.of.created_at:%Y-%m-%d %H:%M}"
        yield self.of.version


def line_of(version: ArtifactVersion | Charted) -> str:
    return ", ".join(str(value) for _, value in sorted(version.partitions.items())) or "all"
