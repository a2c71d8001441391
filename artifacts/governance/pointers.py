"""Policies of aliases, and what they say of a move: the facts of a version, asked of the database."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from artifacts.exceptions import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from artifacts.governance.checks import HEAVY, names_of
from artifacts.governance.policies import (
    Candidate,
    CheckFact,
    Clause,
    Policy,
    circumstances,
    failing,
    kept_policy,
    merits,
    read_policy,
)
from artifacts.governance.reviewing import reviewed, unchanged
from artifacts.happenings import VERSION_APPROVED, VERSION_REJECTED, a_happening, write
from artifacts.models import Alias, AliasMove, AliasPolicy, Artifact, ArtifactVersion, CheckResult, Happening
from artifacts.names import check_alias
from artifacts.partition_values import digest_of, in_words
from artifacts.wire import check_text
from audit.record import record

MAX_REASON = 10_000
BATCH = 50  # versions looked at in one go for one that satisfies a policy
SEARCHED = 1000  # versions that a fall-back looks back over
SHOWN = 100  # pointers of an alias that is kept per partition


class PolicyBroken(FailedPrecondition):
    """A move that the alias's policy does not allow. `detail` lists every clause."""

    def only(self, name: str) -> bool:
        """Whether nothing but clauses of that name are in the way."""
        clauses: list[dict[str, Any]] = self.detail or []  # type: ignore[assignment]
        return {clause["name"] for clause in clauses if not clause["holds"]} == {name}


@dataclass(frozen=True)
class Mover:
    """Who moves an alias. `roles`: those that he holds there. `by_hand` False: the control plane, by the policy."""

    name: str
    roles: Collection[str] = ()
    by_hand: bool = True
    urgent: bool = False  # quiet hours do not hold it up
    force: bool = False  # against the policy, for the reason given


def set_alias_policy(artifact: Artifact, alias: str, given: object, *, actor: str) -> AliasPolicy:
    """Set what must hold for the alias to name a version, in the place of what had to. Where it points now it stays.

    InvalidArgument says what is wrong with the policy: checks that the artifact does not have, wrong types.
    FailedPrecondition where it would name two versions for what it is to be kept per.
    """
    check_alias(alias)
    with transaction.atomic():
        Artifact.objects.select_for_update(no_key=True).get(pk=artifact.pk)
        policy = read_policy(given, checks=names_of(artifact), partition_keys=artifact.partition_keys)
        rules = policy.as_json()
        keep_per(artifact, alias, policy.per, actor=actor)
        row, _ = AliasPolicy.objects.update_or_create(
            artifact=artifact, alias=alias, defaults={"rules": rules, "set_by": actor, "set_at": timezone.now()}
        )
        record(actor, "alias_policy.set", f"{artifact}:{alias}", **_place(artifact), detail={"rules": rules})
    return row


def drop_alias_policy(artifact: Artifact, alias: str, *, actor: str) -> None:
    """Nothing governs the alias any more, and it names one version. NotFound when nothing did, FailedPrecondition where
    it names several.
    """
    with transaction.atomic():
        Artifact.objects.select_for_update(no_key=True).get(pk=artifact.pk)
        keep_per(artifact, alias, (), actor=actor)
        if not AliasPolicy.objects.filter(artifact=artifact, alias=alias).delete()[0]:
            raise NotFound(f"'{alias}' of {artifact} has no policy")
        record(actor, "alias_policy.remove", f"{artifact}:{alias}", **_place(artifact))


def _place(artifact: Artifact) -> dict[str, Any]:
    return {"project": artifact.project, "domain": artifact.domain}


def policy_of(artifact_id: int, alias: str) -> Policy | None:
    rules = AliasPolicy.objects.filter(artifact=artifact_id, alias=alias).values_list("rules", flat=True)[:1]
    return next((kept_policy(one) for one in rules), None)


def candidates_of(policy: Policy, versions: Sequence[ArtifactVersion], alias: str) -> dict[int, Candidate]:
    """What is known of the versions that the alias may name, of what the policy asks: a query for the checks and one
    for the approvals, whatever their number.
    """
    ids = [version.pk for version in versions]
    checks: dict[int, dict[str, CheckFact]] = {pk: {} for pk in ids}
    if policy.checks:
        results = CheckResult.objects.filter(version__in=ids, name__in=policy.checks)
        for pk, name, *fact in results.values_list("version_id", "name", "status", "message", "numbers"):
            checks[pk][name] = CheckFact(*fact)
    words: dict[int, dict[str, tuple[bool, str]]] = {pk: {} for pk in ids}
    if policy.approvals:
        kinds = (VERSION_APPROVED.name, VERSION_REJECTED.name)
        said = Happening.objects.filter(version__in=ids, name=alias, kind__in=kinds).order_by("pk")
        for of, actor, kind, detail in said.values_list("version_id", "actor", "kind", "detail"):
            words[of or 0][actor] = kind == VERSION_APPROVED.name, str(detail.get("reviewed", ""))
    return {
        version.pk: Candidate(
            partitions=version.partitions,
            checks=checks[version.pk],
            approved_by=_approving(version, words[version.pk]),
            author=version.created_by,
            is_removed=version.removed_at is not None,
            is_quarantined=version.quarantined_at is not None,
        )
        for version in versions
    }


def _approving(version: ArtifactVersion, words: Mapping[str, tuple[bool, str]]) -> tuple[str, ...]:
    """Those who approved it as it is now."""
    digests = {digest for approved, digest in words.values() if approved}
    same = {digest for digest in digests if unchanged(version, digest)}
    return tuple(sorted(name for name, (approved, digest) in words.items() if approved and digest in same))


def clauses_of(policy: Policy, version: ArtifactVersion, alias: str) -> list[Clause]:
    """What the policy asks of the version itself."""
    return merits(policy, candidates_of(policy, [version], alias)[version.pk])


@dataclass(frozen=True)
class Shown:
    """What somebody has before him who is to approve a version. `digest`: of that, of the policy and of what there is
    to review of the version; what others say of it meanwhile changes nothing.
    """

    clauses: list[Clause]
    reviewed: str
    digest: str


def shown_of(policy: Policy, version: ArtifactVersion, alias: str) -> Shown:
    clauses, review = clauses_of(policy, version, alias), reviewed(version)
    told = [asdict(clause) for clause in clauses if clause.name != "approvals"]
    parts = {"alias": alias, "policy": policy.as_json(), "clauses": told, "reviewed": review}
    return Shown(clauses, review, hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest())


@dataclass(frozen=True)
class Judged:
    """A move that may be made: whether against the policy, and what it stands on."""

    forced: bool
    evidence: dict[str, Any]


UNGOVERNED = Judged(False, {})


def judge_move(
    policy: Policy | None, version: ArtifactVersion, alias: str, mover: Mover, *, reason: str, now: datetime
) -> Judged:
    """Whether the alias, of that policy, may be moved to the version; the caller holds the artifact's lock.

    PolicyBroken names the clauses that do not hold, with what was found. With force they need not, from somebody with
    the policy's `force_role` and for a reason: PermissionDenied and InvalidArgument otherwise.
    """
    if policy is None:
        if not mover.by_hand:  # it was taken away a moment ago
            raise PolicyBroken(f"'{alias}' has no policy by which it could move")
        return UNGOVERNED
    clauses = clauses_of(policy, version, alias)
    clauses += _around(policy, mover, now)
    broken = failing(clauses)
    evidence = {"policy": policy.as_json(), "clauses": [asdict(clause) for clause in clauses]}
    if not broken:
        return Judged(False, evidence)
    said = "; ".join(clause.said for clause in broken)
    if not mover.force or any(clause.name == "removed" for clause in broken):
        raise PolicyBroken(
            f"'{alias}' cannot name {version.version}: {said}", detail=[asdict(clause) for clause in clauses]
        )
    _check_force(policy, mover, alias, reason)
    return Judged(True, evidence)


def judge_drop(policy: Policy | None, alias: str, mover: Mover, *, reason: str, now: datetime) -> Judged:
    """As `judge_move`, of taking the alias away: who does it, and when."""
    if policy is None:
        return UNGOVERNED
    clauses = _around(policy, mover, now)
    broken = failing(clauses)
    evidence = {"policy": policy.as_json(), "clauses": [asdict(clause) for clause in clauses]}
    if broken and not mover.force:
        said = "; ".join(clause.said for clause in broken)
        raise PolicyBroken(f"'{alias}' cannot be taken away: {said}", detail=evidence["clauses"])
    if broken:
        _check_force(policy, mover, alias, reason)
    return Judged(bool(broken), evidence)


def _around(policy: Policy, mover: Mover, now: datetime) -> list[Clause]:
    return circumstances(policy, by_hand=mover.by_hand, roles=mover.roles, now=None if mover.urgent else now)


def _check_force(policy: Policy, mover: Mover, alias: str, reason: str) -> None:
    if policy.force_role not in mover.roles:
        raise PermissionDenied(
            f"{mover.name} may not move '{alias}' against its policy: that needs the role {policy.force_role}"
        )
    if not reason.strip():
        raise InvalidArgument(f"say why '{alias}' is moved against its policy: a reason is kept with it for ever")


def approve_version(
    version: ArtifactVersion, alias: str, *, approve: bool, comment: str, actor: str, may_decide: bool, seen: str = ""
) -> Happening:
    """Say that the alias may name the version, or may not; somebody's last word counts, never that of who published it.

    `seen`: the digest of what he was shown (`shown_of`): FailedPrecondition where that is not what there is now. What
    was there is kept with his word. PermissionDenied for whom the policy does not name, or who may not decide where it
    names nobody; FailedPrecondition where the policy of the alias asks for no approval, and for a version that was
    removed.
    """
    check_text(comment, "the comment")
    with transaction.atomic():
        Artifact.objects.select_for_update(no_key=True).get(pk=version.artifact_id)
        policy = policy_of(version.artifact_id, alias)
        if policy is None or not policy.approvals:
            raise FailedPrecondition(f"no policy of '{alias}' asks for approvals of {version.artifact.name}")
        if version.removed_at is not None:
            raise FailedPrecondition(f"{version} was removed: nothing is left to approve")
        if not (actor in policy.approvers if policy.approvers else may_decide):
            who = f"one of {', '.join(policy.approvers)}" if policy.approvers else "somebody with the role approver"
            raise PermissionDenied(f"{actor} may not approve {version} for '{alias}': that is for {who}")
        if actor == version.created_by:
            raise PermissionDenied(f"{actor} published {version} and cannot approve it")
        shown = shown_of(policy, version, alias)
        if seen and seen != shown.digest:
            raise FailedPrecondition(f"{version} or what its checks say changed since you looked: look at it again")
        kind = VERSION_APPROVED if approve else VERSION_REJECTED
        detail: dict[str, Any] = {"comment": comment[:MAX_REASON]} if comment else {}
        detail |= {"shown": shown.digest, "clauses": [asdict(clause) for clause in shown.clauses]}
        if approve and shown.reviewed:
            detail["reviewed"] = shown.reviewed
        row = a_happening(kind, actor=actor, version=version, name=alias, detail=detail)
        write([row])
        verb = "version.approve" if approve else "version.reject"
        record(actor, verb, f"{version} for {alias}", **_place(version.artifact))
    return row


def satisfying(policy: Policy, alias: str, *, instead_of: ArtifactVersion) -> ArtifactVersion | None:
    """The newest version that satisfies the policy and can take the place of that one; among the newest SEARCHED."""
    asked = {**policy.partitions, **kept_by(policy, instead_of.partitions)}
    found = _satisfying(policy, instead_of.artifact_id, alias, asked)
    return next((version for version in found if version.pk != instead_of.pk), None)


def _satisfying(
    policy: Policy, artifact_id: int, alias: str, partitions: Mapping[str, str]
) -> Iterator[ArtifactVersion]:
    rows = ArtifactVersion.objects.filter(artifact=artifact_id, removed_at__isnull=True, quarantined_at__isnull=True)
    if partitions:
        rows = rows.filter(partitions__contains=dict(partitions))
    rows = rows.select_related("artifact").defer(*HEAVY)
    ordered = rows.order_by("-created_at", "-pk")
    for start in range(0, SEARCHED, BATCH):
        found = list(ordered[start : start + BATCH])
        candidates = candidates_of(policy, found, alias)
        yield from (version for version in found if not failing(merits(policy, candidates[version.pk])))
        if len(found) < BATCH:
            return


def kept_by(policy: Policy | None, partitions: Mapping[str, str]) -> dict[str, str]:
    """Of a version's partition values those by which the alias is kept: they tell which of its pointers is meant."""
    return {key: partitions[key] for key in policy.per} if policy is not None else {}


def alias_of(policy: Policy | None, artifact_id: int, alias: str, partitions: Mapping[str, str]) -> Alias | None:
    """The alias's pointer for versions of these partition values."""
    rows = Alias.objects.filter(
        artifact=artifact_id, name=alias, partition_digest=digest_of(kept_by(policy, partitions))
    )
    return rows.select_related("version").defer(*(f"version__{column}" for column in HEAVY)).first()


def pointers_of(artifact_id: int, alias: str, policy: Policy) -> list[tuple[Alias, list[Clause]]]:
    """The versions that the alias names, and what of its policy holds for each now; those moved last, SHOWN of them."""
    rows = Alias.objects.filter(artifact=artifact_id, name=alias).select_related("version__artifact")
    found = list(rows.defer(*(f"version__{column}" for column in HEAVY)).order_by("-moved_at", "-pk")[:SHOWN])
    candidates = candidates_of(policy, [one.version for one in found], alias)
    return [(one, merits(policy, candidates[one.version_id])) for one in found]


def keep_per(artifact: Artifact, alias: str, per: Sequence[str], *, actor: str) -> None:
    """Keep the alias by these partition keys from now on: each of its pointers goes on as that of its version's values.

    Nothing moves, but the history tells where each pointer begins. The caller holds the artifact's lock.
    FailedPrecondition where two would become one.
    """
    present = list(Alias.objects.filter(artifact=artifact, name=alias).select_related("version").order_by("pk"))
    wanted = [{key: row.version.partitions[key] for key in per} for row in present]
    if all(row.partitions == own for row, own in zip(present, wanted, strict=True)):
        return
    kept: dict[str, Alias] = {}
    for row, own in zip(present, wanted, strict=True):
        other = kept.setdefault(digest_of(own), row)
        if other is not row:
            whole = f"kept per {', '.join(per)}" if per else "kept for all partitions together"
            raise FailedPrecondition(
                f"'{alias}' names {other.version.version} ({in_words(other.partitions)}) and {row.version.version} "
                f"({in_words(row.partitions)}): {whole} it could name one of them only. Take the other away first"
            )
    reason = f"it is kept per {', '.join(per)} from now on" if per else "it is kept for all partitions from now on"
    moves = []
    for row, own in zip(present, wanted, strict=True):
        of: dict[str, Any] = {
            "artifact": artifact,
            "name": alias,
            "at": timezone.now(),
            "actor": actor,
            "reason": reason,
        }
        moves.append(AliasMove(**of, partitions=row.partitions, from_version=row.version))
        moves.append(AliasMove(**of, partitions=own, to_version=row.version))
        row.partitions, row.partition_digest = own, digest_of(own)
    AliasMove.objects.bulk_create(moves)
    Alias.objects.bulk_update(present, ["partitions", "partition_digest"])
