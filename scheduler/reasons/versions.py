"""What happened to versions: published, named by aliases, held, removed, and all that happenings tell."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from django.db.models import Q

from artifacts.happenings import KINDS
from artifacts.models import AliasMove, ArtifactVersion, Happening, Hold, Removal
from scheduler.reasons.steps import STEPS, Reader, Step, is_readable

# Kinds of happenings that rows of their own tell of: those are read instead.
TOLD_OTHERWISE = (
    *("version.published", "version.removed", "version.expired", "alias.moved", "alias.removed"),
    *("execution.succeeded", "execution.failed", "execution.aborted", "execution.timed_out", "gate.waiting"),
    *("gate.approved", "gate.rejected", "version.promoted", "promotion.asked", "promotion.rejected"),
)


def published(reader: Reader) -> Iterator[Step]:
    makers = dict(ArtifactVersion.objects.filter(pk__in=reader.versions).values_list("pk", "created_by"))
    for pk, node in reader.versions.items():
        by = f" by {node.producer}" if node.producer else ""
        words = f"{node.artifact}@{node.version} was published{by}"
        shown = node.execution_key if is_readable(node.execution_key, reader.may_read) else ""
        yield Step(
            node.created_at,
            makers.get(pk, ""),
            "version.publish",
            words,
            (node.project, node.domain),
            "version",
            pk,
            version=pk,
            execution=shown,
        )


def moved(reader: Reader, focus: Collection[int]) -> Iterator[Step]:
    rows = AliasMove.objects.filter(Q(to_version__in=reader.versions) | Q(from_version__in=focus))
    for move in rows.select_related("artifact", "happening").order_by("-pk")[:STEPS]:
        place = move.artifact.project, move.artifact.domain
        node = reader.versions.get(move.to_version_id or 0)
        if move.to_version_id in reader.versions:
            words = f"{move.artifact}:{move.called} was moved to {reader.name(node)}"
        else:
            words = f"{move.artifact}:{move.called} was moved away from it"
        yield Step(
            move.at,
            move.actor,
            move.happening.kind if move.happening is not None else "alias.moved",
            words + (", against its policy" if move.forced else ""),
            place,
            "alias_move",
            move.pk,
            _stood_on(move),
            version=move.to_version_id,
        )


def _stood_on(move: AliasMove) -> str:
    """The reason given, and what the policy's clauses found."""
    clauses = [str(clause.get("said", "")) for clause in move.evidence.get("clauses", [])]
    return "; ".join(part for part in (move.reason, *clauses) if part)


def kept(reader: Reader, ids: Sequence[int]) -> Iterator[Step]:
    for hold in Hold.objects.filter(version__in=ids).order_by("pk")[:STEPS]:
        pk = hold.version_id or 0
        name, place = reader.name(reader.versions[pk]), reader.place(pk)
        what = "a legal hold" if hold.kind == Hold.Kind.LEGAL else "a pin"
        yield Step(
            hold.set_at,
            hold.set_by,
            f"hold.{hold.kind}",
            f"{what} was put on {name}",
            place,
            "hold",
            hold.pk,
            hold.reason,
        )
        if hold.released_at is not None:
            words = f"{what} of {name} was released"
            verb = f"hold.{hold.kind}.release"
            yield Step(hold.released_at, hold.released_by, verb, words, place, "hold", hold.pk, hold.release_reason)
    for removal in Removal.objects.filter(version__in=ids).order_by("pk")[:STEPS]:
        name, place = reader.name(reader.versions[removal.version_id]), reader.place(removal.version_id)
        words = f"{name} was {'erased' if removal.erasure_id else 'removed'}"
        yield Step(
            removal.at, removal.actor, "version.remove", words, place, "removal", removal.pk, removal.reason,
            version=removal.version_id,
        )  # fmt: skip


def happened(reader: Reader, ids: Sequence[int], keys: Sequence[str]) -> Iterator[Step]:
    """Whatever else happened to them: checks, fall-backs, forced moves, escalations, what does not count any more."""
    # Not empty: what the index of keys has no others than, and PostgreSQL does not see of a list longer than a hundred
    of_runs = Q(execution_key__in=keys) & ~Q(execution_key="")
    rows = Happening.objects.filter(Q(version__in=ids) | of_runs, alias_move__isnull=True)
    rows = rows.exclude(kind__in=TOLD_OTHERWISE)
    shown = ("kind", "at", "name", "subject", "actor", "project", "domain", "detail", "version_id", "execution_key")
    for row in rows.order_by("pk").values_list("pk", *shown, named=True)[:STEPS]:
        kind = KINDS.get(row.kind)
        what = f"{row.name} of {row.subject}" if row.name and row.name not in row.subject else row.subject
        words = f"{what} {kind.words if kind is not None else row.kind}"
        yield Step(
            row.at,
            row.actor,
            row.kind,
            words,
            (row.project, row.domain),
            "happening",
            row.pk,
            reason=_detail(row.detail),
            version=row.version_id,
            execution=row.execution_key if is_readable(row.execution_key, reader.may_read) else "",
        )


def _detail(detail: dict[str, Any]) -> str:
    """Words and numbers of it, as far as people say them."""
    said = {name: value for name, value in detail.items() if name != "said"}  # the same once more, as a sentence
    told = {name: value for name, value in said.items() if isinstance(value, str | int | float) and value != ""}
    return ", ".join(f"{name}: {value}" for name, value in told.items())
