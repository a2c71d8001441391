"""Erasing: a version goes for good, with everything that was made of it if so asked, and what that frees is told.

Unlike removing, it leaves nothing of the version's content in the rows either: its value, card, metrics and metadata
go. What stays is the tombstone: that there was a version of that name, when, by whom, and its place in the lineage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from django.db import transaction
from django.utils import timezone
from flyteidl.core import literals_pb2

from artifacts.actions.retention import StoredData, data_of, delete_objects, lock_for_removal
from artifacts.exceptions import FailedPrecondition, InvalidArgument
from artifacts.models import ArtifactVersion, Erasure, Metric, Removal
from artifacts.store import store
from audit.record import record
from lineage.walks import MAX_NODES, impact
from scheduler.actions.removal import MADE_OF_IT, reasons_to_stay, tombstone

HEAVY = ("card", "terms")
EMPTY = literals_pb2.Literal(scalar=literals_pb2.Scalar(none_type=literals_pb2.Void()))


@dataclass
class ErasurePlan:
    """What erasing would do. `derived`: everything made of the version, nearest first, whether it goes too or not."""

    version: ArtifactVersion
    derived: list[tuple[ArtifactVersion, int]]  # with the number of steps between
    goes: list[ArtifactVersion] = field(default_factory=list)  # the version, and those derived that go with it
    blocked: dict[int, list[str]] = field(default_factory=dict)  # by version why it cannot go
    data: list[StoredData] = field(default_factory=list)  # of all that goes

    @property
    def bytes_before(self) -> int:
        """In the store, of all that goes; what stays of it is among them."""
        return sum(one.size for one in self.data)

    @property
    def bytes_after(self) -> int:
        return sum(one.size for one in self.data if one.kept_for)


def plan_erasure(version: ArtifactVersion, *, derived: bool) -> ErasurePlan:
    """The dry run: nothing is changed. `derived`: everything that was made of it is to go too."""
    reached = impact(version.pk)
    if reached.truncated:
        raise FailedPrecondition(f"more than {MAX_NODES} versions were made of {version}: erase the later ones first")
    depths = {node.pk: depth for node, depth in reached.relatives()}
    rows = ArtifactVersion.objects.select_related("artifact").defer(*HEAVY).in_bulk(depths)
    plan = ErasurePlan(version, [(rows[pk], depth) for pk, depth in depths.items()])
    plan.goes = [version, *(one for one, _ in plan.derived if derived and one.removed_at is None)]
    plan.blocked = _blocked(plan.goes)
    seen: dict[str, StoredData] = {}
    going = {one.pk for one in plan.goes}
    for one in plan.goes:
        for data in data_of(one, going=going):
            seen.setdefault(data.uri, data)
    plan.data = list(seen.values())
    return plan


def _blocked(versions: Sequence[ArtifactVersion]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for pk, reasons in reasons_to_stay([one.pk for one in versions], descendants=False).items():
        if others := [reason for reason in reasons if reason != MADE_OF_IT]:
            found[pk] = others
    return found


def erase(
    version: ArtifactVersion,
    *,
    derived: bool,
    reason: str,
    actor: str,
    allowed: Callable[[ErasurePlan], None] = lambda plan: None,
) -> Erasure:
    """Erase the version, and with `derived` everything that was made of it: all, or nothing where something keeps one.

    `allowed` raises where the actor may not erase all that goes.
    InvalidArgument without a reason; FailedPrecondition where a hold, an alias, an unfinished execution or a waiting
    trigger keeps one of them, with all of these.
    """
    if not reason.strip():
        raise InvalidArgument("reason: say why it is erased")
    with transaction.atomic():
        plan = plan_erasure(version, derived=derived)
        ids = [one.pk for one in plan.goes]
        locked = set(
            lock_for_removal(ArtifactVersion.objects.filter(pk__in=ids)).order_by("pk").values_list("pk", flat=True)
        )
        plan = plan_erasure(version, derived=derived)
        if {one.pk for one in plan.goes} - set(ids):
            raise FailedPrecondition(f"nothing was erased: something was made of {version} at this moment; ask again")
        allowed(plan)
        _check(plan)
        gone = [one for one in plan.goes if one.pk in locked]
        removals = tombstone(gone, actor=actor, reason=reason)
        erasure = Erasure.objects.create(
            version=version,
            reason=reason,
            actor=actor,
            at=timezone.now(),
            with_derived=derived,
            derived=[{"id": one.pk, "version": str(one), "steps": steps} for one, steps in plan.derived],
            erased=[one.pk for one in plan.goes],
            bytes_before=plan.bytes_before,
        )
        Removal.objects.filter(pk__in=[one.pk for one in removals]).update(erasure=erasure)
        _blank(ids)
        place = {"project": version.artifact.project, "domain": version.artifact.domain}
        detail = {"reason": reason, "versions": len(plan.goes), "derived": len(plan.derived)}
        record(actor, "version.erase", version, **place, detail=detail)
    delete_objects(limit=None)
    _measure(erasure, plan)
    return erasure


def _check(plan: ErasurePlan) -> None:
    if plan.blocked:
        names = {one.pk: str(one) for one in plan.goes}
        said = [f"{names[pk]}: {'; '.join(reasons)}" for pk, reasons in plan.blocked.items()]
        raise FailedPrecondition(f"nothing was erased, as something keeps {len(said)} of it: {said[0]}", detail=said)


def _blank(ids: Sequence[int]) -> None:
    """What the rows hold of the content."""
    Metric.objects.filter(version__in=ids).delete()
    ArtifactVersion.objects.filter(pk__in=ids).update(
        literal=EMPTY.SerializeToString(), card="", card_format="", metadata={}, metrics={}, terms=None, content_hash=""
    )


def _measure(erasure: Erasure, plan: ErasurePlan) -> None:
    """What lies in the store by now of what was to go: looked at, not reckoned."""
    after = sum(one.size for one in plan.data if one.size and store().contains(one.uri) and store().exists(one.uri))
    erasure.bytes_after = after
    Erasure.objects.filter(pk=erasure.pk).update(bytes_after=after)
