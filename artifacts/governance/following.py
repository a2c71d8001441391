"""What pointers do by themselves: go to a version that earned them, and back from one that turned out bad.

Consequences of happenings (artifacts.happenings.follow): each is carried out once, with the happening that it follows.
"""

from __future__ import annotations

from collections.abc import Callable

from artifacts.actions.aliases import move_alias
from artifacts.governance.pointers import Mover, PolicyBroken, alias_of, clauses_of, satisfying
from artifacts.governance.policies import Policy, failing, kept_policy
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
def earn(happening: Happening) -> None:
    """The version goes to automatic aliases whose policy it satisfies now, where it is newer than what they name."""
    for alias, policy in _policies(happening):
        if policy.automatic:
            _earn(happening, alias, policy)


def _earn(happening: Happening, alias: str, policy: Policy) -> None:
    version = _version(happening)
    if failing(clauses_of(policy, version, alias)):
        return
    present = alias_of(version.artifact_id, alias)
    reason = "it satisfies the policy"
    if present is not None:
        present.version.artifact = version.artifact
        leads = _leads(version, present.version, alias)
        if not leads:
            return
        reason += f" and {leads}"
    try:
        move_alias(version, alias, actor=ACTOR, reason=reason, mover=Mover(ACTOR, by_hand=False), cause=happening)
    except PolicyBroken:  # its quiet hours: it waits for the next version, or for a person
        return


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
    for alias, policy in _policies(happening):
        concerned = (
            happening.name == alias if happening.kind == VERSION_REJECTED.name else happening.name in policy.checks
        )
        if policy.fall_back and concerned:
            _fall_back(happening, alias, policy)


def _fall_back(happening: Happening, alias: str, policy: Policy) -> None:
    present = alias_of(happening.artifact_id or 0, alias)
    if present is None or present.version_id != happening.version_id:
        return
    bad = _version(happening)
    broken = failing(clauses_of(policy, bad, alias))
    if not broken:  # it passed again since, or a check that the policy does not ask for failed
        return
    why = f"{bad.version} no longer satisfies the policy: {'; '.join(clause.said for clause in broken)}"
    quarantine(bad, actor=ACTOR, reason=why, cause=happening)
    good = satisfying(policy, bad.artifact_id, alias, but=bad.pk)
    if good is None:
        subject = f"{bad.artifact}:{alias}"
        detail = {"version": bad.version, "reason": why}
        happened(STRANDED, actor=ACTOR, version=bad, subject=subject, name=alias, cause=happening, detail=detail)
        return
    mover = Mover(ACTOR, by_hand=False, urgent=True)
    move_alias(good, alias, actor=ACTOR, reason=why, mover=mover, kind=FALLEN_BACK, cause=happening)


def _version(happening: Happening) -> ArtifactVersion:
    rows = ArtifactVersion.objects.select_related("artifact").defer("card", "terms", "literal", "literal_type")
    return rows.get(pk=happening.version_id or 0)


def _policies(happening: Happening) -> list[tuple[str, Policy]]:
    """The policies of the artifact's aliases, with the artifact locked: what follows from two happenings of it comes
    one after the other.
    """
    rows = AliasPolicy.objects.filter(artifact=happening.artifact_id).order_by("alias")
    found = [(row.alias, kept_policy(row.rules)) for row in rows]
    if any(policy.automatic or policy.fall_back for _, policy in found):
        Artifact.objects.select_for_update(no_key=True).get(pk=happening.artifact_id or 0)
    return found
