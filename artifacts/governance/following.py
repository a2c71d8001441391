"""What pointers do by themselves: go to a version that earned them, and back from one that turned out bad.

Consequences of happenings (artifacts.happenings.follow): each is carried out once, with the happening that it follows.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.utils import timezone

from artifacts.actions.aliases import move_within
from artifacts.exceptions import FailedPrecondition
from artifacts.governance.pointers import Mover, PolicyBroken, alias_of, clauses_of, satisfying
from artifacts.governance.policies import Policy, failing, kept_policy, quiet_until
from artifacts.governance.quarantine import quarantine
from artifacts.happenings import (
    CHECK_FAILED,
    CHECK_PASSED,
    FALLEN_BACK,
    STRANDED,
    VERSION_APPROVED,
    VERSION_REJECTED,
    follow,
    happened,
)
from artifacts.models import AliasPolicy, Artifact, ArtifactVersion, Happening

ACTOR = "system:policy"


@follow(CHECK_PASSED)
@follow(VERSION_APPROVED)
def earn(happening: Happening) -> datetime | None:
    """The version goes to automatic aliases whose policy it satisfies now, where it is newer than what they name.

    What its quiet hours forbid is tried again when they end: that is when.
    """
    version, ends = happening.version, []
    for alias, policy in _policies(happening):
        if policy.automatic and version is not None:  # the move reads anew what may have changed of it
            ends.append(_earn(happening, alias, version, policy))
    return min((end for end in ends if end is not None), default=None)


def _earn(happening: Happening, alias: str, version: ArtifactVersion, policy: Policy) -> datetime | None:
    """The move itself asks whether the policy holds, with the artifact locked."""

    def leads(present: ArtifactVersion) -> str:
        return _leads(version, present, alias)

    reason, mover = "it satisfies the policy", Mover(ACTOR, by_hand=False)
    try:
        move_within(version, alias, actor=ACTOR, reason=reason, mover=mover, cause=happening, leads=leads)
    except PolicyBroken as error:
        return quiet_until(policy, timezone.now()) if error.only("quiet") else None
    except FailedPrecondition:  # it was removed meanwhile
        return None
    return None


Arbiter = Callable[[ArtifactVersion, ArtifactVersion, str], bool | None]
_arbiters: list[Arbiter] = []


def arbiter(judge: Arbiter) -> Arbiter:
    """Decorates what says whether a version takes the place of the one that an alias names; None: that is not its
    business. Where it is nobody's, the newer one does.
    """
    if judge not in _arbiters:
        _arbiters.append(judge)
    return judge


def _leads(version: ArtifactVersion, present: ArtifactVersion, alias: str) -> str:
    """Why it takes the place of the present one, in words; empty: it does not."""
    for judge in _arbiters:
        if (said := judge(version, present, alias)) is not None:
            return "leads its contest" if said else ""
    return "is newer" if _order(version) > _order(present) else ""


def _order(version: ArtifactVersion) -> tuple[object, int]:
    return version.created_at, version.pk


@follow(CHECK_FAILED)
@follow(VERSION_REJECTED)
def fall_back(happening: Happening) -> None:
    """Aliases that fall back leave the version for the newest that satisfies their policy, and it is quarantined."""
    for alias, policy in _policies(happening, locked=True):
        concerned = (
            happening.name == alias if happening.kind == VERSION_REJECTED.name else happening.name in policy.checks
        )
        if policy.fall_back and concerned:
            _fall_back(happening, alias, policy)


def _fall_back(happening: Happening, alias: str, policy: Policy) -> None:
    bad = _version(happening)
    present = alias_of(policy, bad.artifact_id, alias, bad.partitions)
    if present is None or present.version_id != bad.pk:
        return
    broken = failing(clauses_of(policy, bad, alias))
    if not broken:  # it passed again since, or a check that the policy does not ask for failed
        return
    why = f"{bad.version} no longer satisfies the policy: {'; '.join(clause.said for clause in broken)}"
    quarantine(bad, actor=ACTOR, reason=why, cause=happening)
    good = satisfying(policy, alias, instead_of=bad)
    if good is None:
        subject = f"{bad.artifact}:{present.called}"
        detail = {"version": bad.version, "reason": why, "partitions": present.partitions}
        happened(STRANDED, actor=ACTOR, version=bad, subject=subject, name=alias, cause=happening, detail=detail)
        return
    mover = Mover(ACTOR, by_hand=False, urgent=True)
    move_within(good, alias, actor=ACTOR, reason=why, mover=mover, kind=FALLEN_BACK, cause=happening)


def _version(happening: Happening) -> ArtifactVersion:
    rows = ArtifactVersion.objects.select_related("artifact").defer("card", "terms", "literal", "literal_type")
    return rows.get(pk=happening.version_id or 0)


def _policies(happening: Happening, *, locked: bool = False) -> list[tuple[str, Policy]]:
    """The policies of the artifact's aliases; `locked`: with the artifact locked, where one of them falls back, so that
    what follows from two happenings of it comes one after the other.
    """
    rows = AliasPolicy.objects.filter(artifact=happening.artifact_id).order_by("alias")
    found = [(alias, kept_policy(rules)) for alias, rules in rows.values_list("alias", "rules")]
    if locked and any(policy.fall_back for _, policy in found):
        Artifact.objects.select_for_update(no_key=True).get(pk=happening.artifact_id or 0)
    return found
