"""What a decision is about: the artifact versions that a gate's execution took in, or made so far."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from artifacts.models import ArtifactVersion, Kind
from lineage.models import VersionEdge, VersionRole
from scheduler.models import Gate, GateKind

EDGES = 2_000  # of all executions asked about
GATES = 500  # decided ones of all versions asked about
# What people decide about, the likeliest first; a model is approved, not the data that it was tried on.
_LIKELY = (Kind.MODEL, Kind.FILE, Kind.DIRECTORY, Kind.OTHER, Kind.VALUE, Kind.DATASET)


class Approval(NamedTuple):
    """A decision about a version."""

    gate: Gate  # with its execution
    approved: bool


def subjects_of(gates: Collection[Gate]) -> dict[int, ArtifactVersion]:
    """By gate, the version that it is about, with its artifact; nothing for one whose execution knows no version.

    It is what the execution was launched with, else what one of its nodes published or took in; of several a model
    before anything else, then the newest. Two queries.
    """
    keys = {gate.execution.key for gate in gates}
    if not keys:
        return {}
    edges = VersionEdge.objects.filter(execution_key__in=keys).order_by("-id")
    rows = list(edges.values_list("execution_key", "version_id", "node_id", "role")[:EDGES])
    heavy = ("literal", "literal_type", "card", "terms")
    found = ArtifactVersion.objects.filter(pk__in={row[1] for row in rows}).select_related("artifact").defer(*heavy)
    versions = {version.pk: version for version in found}
    chosen = _chosen(rows, versions)
    return {gate.pk: versions[chosen[gate.execution.key]] for gate in gates if gate.execution.key in chosen}


def _chosen(rows: Iterable[tuple[str, int, str, str]], versions: Mapping[int, ArtifactVersion]) -> dict[str, int]:
    """By execution key the version that is decided about."""
    around: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    for key, version, node, role in rows:
        if version in versions:
            around[key].append((version, role == VersionRole.CONSUMED and not node))
    return {key: _likeliest(found, versions) for key, found in around.items()}


def _likeliest(found: Sequence[tuple[int, bool]], versions: Mapping[int, ArtifactVersion]) -> int:
    def rank(one: tuple[int, bool]) -> tuple[int, bool, int]:
        version, is_input = one
        kind = versions[version].kind
        return _LIKELY.index(Kind(kind)) if kind in Kind.values else len(_LIKELY), not is_input, -version

    return min(found, key=rank)[0]


def decisions_about(versions: Collection[int]) -> dict[int, list[Approval]]:
    """By version the approvals and refusals that were about it, newest first. Four queries, whatever their number.

    Those of executions that the reader may not read are for the caller to leave out.
    """
    if not versions:
        return {}
    edges = VersionEdge.objects.filter(version__in=versions, role=VersionRole.CONSUMED).order_by("-id")
    made = VersionEdge.objects.filter(version__in=versions, role=VersionRole.PRODUCED).order_by("-id")
    keys = {
        *edges.values_list("execution_key", flat=True)[:EDGES],
        *made.values_list("execution_key", flat=True)[:EDGES],
    }
    gates = _decided(keys)
    about = subjects_of(gates)
    found: dict[int, list[Approval]] = defaultdict(list)
    for gate in gates:
        subject = about.get(gate.pk)
        if subject is not None and subject.pk in versions:
            found[subject.pk].append(Approval(gate, gate.approved))
    return dict(found)


def _decided(keys: Iterable[str]) -> list[Gate]:
    """Decided approvals of these executions that count, newest first."""
    names = defaultdict(set)
    for key in keys:
        project, domain, name = key.split("/", 2)
        names[project, domain].add(name)
    if not names:
        return []
    rows = Gate.objects.none()
    decided = Gate.objects.filter(kind=GateKind.APPROVE, decided_at__isnull=False, voided_at__isnull=True)
    decided = decided.select_related("execution")
    for (project, domain), some in sorted(names.items()):
        rows = rows | decided.filter(execution__project=project, execution__domain=domain, execution__name__in=some)
    return list(rows.defer("execution__spec", "execution__error").order_by("-decided_at", "-id")[:GATES])


STANDING = ("champion", "production", "prod", "live")  # aliases of what is in use, the likeliest first
EARLIER = 50  # versions that are looked through for the last one approved


class Precedents(NamedTuple):
    """What a version is held against: the one in use, and the last one approved; None where there is none."""

    standing: ArtifactVersion | None
    alias: str  # by which the standing one is known
    approved: ArtifactVersion | None


def precedents_of(version: ArtifactVersion, *, may_read: Callable[[str, str], bool]) -> Precedents:
    """Among versions with the same partitions; an alias that begins with one of STANDING counts too. Seven queries.

    `may_read`: whether whoever asks may read in a project and domain; approvals in others count for nothing.
    """
    same = ArtifactVersion.objects.filter(artifact=version.artifact_id, partition_digest=version.partition_digest)
    same = same.exclude(pk=version.pk).select_related("artifact").defer("literal", "literal_type", "card", "terms")
    named = same.filter(aliases__isnull=False).prefetch_related("aliases").distinct()
    ranked = [
        (STANDING.index(word), alias.name, one)
        for one in named
        for alias in one.aliases.all()
        for word in STANDING
        if alias.name == word or alias.name.startswith((f"{word}-", f"{word}_"))
    ]
    earlier = list(same.filter(removed_at__isnull=True).order_by("-created_at", "-id")[:EARLIER])
    decisions = {
        pk: [one for one in found if may_read(one.gate.execution.project, one.gate.execution.domain)]
        for pk, found in decisions_about({one.pk for one in earlier}).items()
    }
    approved = next((one for one in earlier if (told := decisions.get(one.pk)) and told[0].approved), None)
    if not ranked:
        return Precedents(None, "", approved)
    _, alias, standing = min(ranked, key=lambda one: (*one[:2], -one[2].pk))
    return Precedents(standing, alias, approved)
