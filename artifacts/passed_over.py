"""Which newer versions a query did not find, and why: beside what it found, which nobody takes for the newest then."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.db.models import Q

from artifacts.models import Artifact, ArtifactVersion, CheckResult, CheckStatus, Severity
from artifacts.partitions import format_time, truncate
from artifacts.periods import format_period
from artifacts.queries import LATEST, NEWEST_FIRST
from artifacts.wanted import Wanted

LOOKED_AT = 50  # newer versions, the newest
NAMED = 5  # of them that are named
_FACTS = ("id", "version", "artifact", "partitions", "partition_digest", "time_partition", "created_at")
_STANDING = ("removed_at", "quarantined_at", "is_shadow")


@dataclass(frozen=True)
class PassedOver:
    """`named`: versions of what was asked for, and why each is not it; `elsewhere`: how many are of other partitions or
    periods, `examples` of these; `more`: there are others that were not looked at.
    """

    named: Sequence[tuple[ArtifactVersion, str]] = ()
    unnamed: int = 0  # more of the same
    elsewhere: int = 0
    examples: Sequence[str] = field(default_factory=tuple)
    more: bool = False

    @property
    def count(self) -> int:
        return len(self.named) + self.unnamed + self.elsewhere


def passed_over(artifact: Artifact, wanted: Wanted, found: ArtifactVersion | None) -> PassedOver:
    """Of versions newer than what was found; of all, where nothing was. One query, two where checks are asked for."""
    rows = ArtifactVersion.objects.filter(artifact=artifact).only(*_FACTS, *_STANDING)
    if found is not None:
        later = Q(created_at__gt=found.created_at) | Q(created_at=found.created_at, pk__gt=found.pk)
        rows = rows.filter(later, created_at__gte=found.created_at)
    newer = list(rows.order_by(*NEWEST_FIRST)[: LOOKED_AT + 1])
    looked_at = newer[:LOOKED_AT]
    blocked = _blocked(looked_at) if wanted.passed else {}
    named: list[tuple[ArtifactVersion, str]] = []
    elsewhere: list[str] = []
    for version in looked_at:
        version.artifact = artifact
        if other := _elsewhere(version, wanted):
            elsewhere.append(other)
        elif reason := _reason(version, wanted, blocked.get(version.pk, "")):
            named.append((version, reason))
    examples = list(dict.fromkeys(elsewhere))[:NAMED]
    more = len(newer) > LOOKED_AT
    return PassedOver(named[:NAMED], len(named[NAMED:]), len(elsewhere), examples, more)


def _elsewhere(version: ArtifactVersion, wanted: Wanted) -> str:
    """Of which other partition or period it is; empty of one that has what was asked for."""
    values = {key: version.partitions.get(key, "") for key in wanted.partitions}
    if other := [f"{key}={value}" for key, value in sorted(values.items()) if value != wanted.partitions[key]]:
        return ", ".join(other)
    at, granularity = version.time_partition, version.artifact.granularity
    exact = wanted.time_partition is not None and truncate(wanted.time_partition, granularity)
    if (
        (exact and at != exact)
        or (wanted.time_from is not None and (at is None or at < wanted.time_from))
        or (wanted.time_before is not None and (at is None or at >= wanted.time_before))
    ):
        return f"time={format_period(at, granularity)}" if at is not None else "no time"
    return ""


def _reason(version: ArtifactVersion, wanted: Wanted, blocked: str) -> str:
    """Why it is not what was found, the first reason that holds; empty: none is known."""
    if version.removed_at is not None:
        return f"its data was removed {format_time(version.removed_at)}"
    if wanted.created_before is not None and version.created_at >= wanted.created_before:
        return f"published later than {format_time(wanted.created_before)}"
    if version.is_shadow:
        return "the output of a run beside production"
    if version.quarantined_at is not None and not wanted.quarantined:
        return f"quarantined {format_time(version.quarantined_at)}"
    if blocked:
        return blocked
    if wanted.version not in ("", LATEST):
        return f"version {wanted.version} is asked for"
    return f"'{wanted.alias}' does not name it" if wanted.alias not in ("", LATEST) else ""


def _blocked(versions: Sequence[ArtifactVersion]) -> Mapping[int, str]:
    """By version what its checks say that keep it from passing."""
    rows = CheckResult.objects.filter(version__in=versions, severity=Severity.BLOCK).exclude(status=CheckStatus.PASSED)
    found: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for pk, name, status in rows.order_by("name").values_list("version", "name", "status"):
        found[pk][status].append(name)
    return {pk: _said(names) for pk, names in found.items()}


def _said(names: Mapping[str, Sequence[str]]) -> str:
    if failed := names.get(CheckStatus.FAILED):
        return f"failed the check{'s' * (len(failed) > 1)} {', '.join(failed)}"
    waits = names.get(CheckStatus.PENDING, ())
    return f"not judged yet by the check{'s' * (len(waits) > 1)} {', '.join(waits)}"
