"""Aliases: movable names of one version each. Every move is kept, with who, when, why and what it stood on.

An alias with a policy (artifacts.governance) is moved where that holds, or by force. Where that keeps it per partition
it has a pointer for each: the one of the version's values is moved, and the others stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from artifacts.actions.holding import hold
from artifacts.exceptions import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from artifacts.governance.pointers import (
    MAX_REASON,
    Judged,
    Mover,
    alias_of,
    judge_drop,
    judge_move,
    kept_by,
    policy_of,
)
from artifacts.governance.policies import Policy
from artifacts.happenings import ALIAS_MOVED, ALIAS_REMOVED, Kind, a_happening, write
from artifacts.models import Alias, AliasMove, Artifact, ArtifactVersion, Happening
from artifacts.names import check_alias
from artifacts.partition_values import digest_of, in_words
from artifacts.queries import check_keys
from artifacts.wanted import Wanted
from audit.record import record


class AliasMoved(FailedPrecondition):
    """The alias does not name what the caller thought it did."""


ANYWHERE = ""  # as `expected`: wherever it points now
NOWHERE = "-"  # as `expected`: it must not exist yet


def move_within(
    version: ArtifactVersion,
    name: str,
    *,
    actor: str,
    reason: str = "",
    expected: str = ANYWHERE,
    mover: Mover | None = None,
    kind: Kind = ALIAS_MOVED,
    cause: Happening | None = None,
    leads: Callable[[ArtifactVersion], str] | None = None,
) -> Alias:
    """Point the alias at the version, in the caller's transaction (`move_alias`: in one of its own); what is refused is
    refused before anything is written. `expected` is the version it must name now, or AliasMoved tells which it does.
    `leads`, with the artifact locked, says of the one that it names now why this one takes its place, or
    nothing: it stays.

    `mover`: with which roles the actor moves it, or that the control plane does; somebody without any, where it is not
    said. Pointing it where it points already changes nothing and leaves no entry in the history. PolicyBroken where the
    alias's policy does not allow it; FailedPrecondition for a version that was removed; AlreadyExists for a new alias
    that is called as a version of the artifact is.
    """
    check_alias(name)
    _check_reason(reason)
    policy, present = _locked(version.artifact, name, version.partitions)
    _check_expected(present, name, expected)
    if present is not None and present.version_id == version.pk:
        return present
    if version.is_shadow:
        raise FailedPrecondition(f"{version.version} is the output of a run beside production: no alias names it")
    if leads is not None and present is not None:
        present.version.artifact = version.artifact
        if not (why := leads(present.version)):
            return present
        reason = f"{reason} and {why}"
    held = hold([version.pk])
    if version.pk not in held:
        raise FailedPrecondition(f"{version.version} was removed: an alias cannot name it")
    if present is None:
        _refuse_version(version.artifact, name)
    now = timezone.now()
    version.removed_at, version.quarantined_at = None, held[version.pk]
    judged = judge_move(policy, version, name, mover or Mover(actor), reason=reason, now=now)
    before = present.version if present is not None else None
    alias = present or _new(version, name, policy)
    alias.version, alias.moved_at = version, now
    alias.save()  # whoever else would write it waits for the artifact's lock
    move = AliasMove(from_version=before, to_version=version)
    _note(alias, move, judged, kind, actor=actor, reason=reason, cause=cause)
    return alias


move_alias = transaction.atomic(move_within)


def drop_alias(
    artifact: Artifact,
    name: str,
    *,
    actor: str,
    reason: str = "",
    expected: str = ANYWHERE,
    mover: Mover | None = None,
    partitions: Mapping[str, str] | None = None,
) -> None:
    """Remove the alias; its history stays. `partitions`: which of its pointers, where it is kept per partition; the
    version that it names must have them.

    NotFound: there is none; InvalidArgument: that does not say which; PolicyBroken: its policy does not allow it.
    """
    check_alias(name)
    _check_reason(reason)
    said = dict(partitions or {})
    check_keys(artifact, Wanted(*artifact.key, partitions=said))
    with transaction.atomic():
        policy, present = _locked(artifact, name, said)
        if present is None or said.items() - present.version.partitions.items():
            of = f" for {in_words(said)}" if said else ""
            raise NotFound(f"{artifact.name} has no alias '{name}'{of}")
        _check_expected(present, name, expected)
        judged = judge_drop(policy, name, mover or Mover(actor), reason=reason, now=timezone.now())
        present.delete()
        move = AliasMove(from_version=present.version)
        _note(present, move, judged, ALIAS_REMOVED, actor=actor, reason=reason, cause=None)


def _check_reason(reason: str) -> None:
    if len(reason) > MAX_REASON:
        raise InvalidArgument(f"the reason is longer than {MAX_REASON} characters")


def _refuse_version(artifact: Artifact, name: str) -> None:
    if ArtifactVersion.objects.filter(artifact=artifact, version=name).exists():
        raise AlreadyExists(f"{artifact.name} has a version '{name}': no alias can be called so")


def _locked(artifact: Artifact, name: str, partitions: Mapping[str, str]) -> tuple[Policy | None, Alias | None]:
    """The alias's policy and its pointer for these values, with the artifact locked: two moves of an alias that does
    not exist yet contend for that. InvalidArgument where they do not say which pointer.
    """
    Artifact.objects.select_for_update(no_key=True).only("pk").get(pk=artifact.pk)
    policy = policy_of(artifact.pk, name)
    if policy is not None and (open_ := [key for key in policy.per if key not in partitions]):
        raise InvalidArgument(
            f"'{name}' of {artifact.name} is kept per {', '.join(policy.per)}: say {', '.join(open_)}"
        )
    if (present := alias_of(policy, artifact.pk, name, partitions)) is not None:
        present.artifact = artifact
    return policy, present


def _new(version: ArtifactVersion, name: str, policy: Policy | None) -> Alias:
    partitions = kept_by(policy, version.partitions)
    digest = digest_of(partitions)
    return Alias(artifact=version.artifact, name=name, partitions=partitions, partition_digest=digest)


def _check_expected(present: Alias | None, name: str, expected: str) -> None:
    if expected == ANYWHERE:
        return
    if present is None:
        if expected != NOWHERE:
            raise AliasMoved(f"'{name}' names no version, not {expected}")
    elif present.version.version != expected:
        raise AliasMoved(
            f"'{name}' names {present.version.version}" + (f", not {expected}" if expected != NOWHERE else "")
        )


def _note(
    alias: Alias, move: AliasMove, judged: Judged, kind: Kind, *, actor: str, reason: str, cause: Happening | None
) -> None:
    """The row of the history, the happening and the audit trail's."""
    artifact, before, after = alias.artifact, move.from_version, move.to_version
    subject = f"{artifact}:{alias.called}"
    detail: dict[str, Any] = {"from": before and before.version, "version": after and after.version, "reason": reason}
    if alias.partitions:
        detail["partitions"] = alias.partitions
    if judged.forced:
        detail["forced"] = "against its policy"
    happening = a_happening(
        kind,
        actor=actor,
        version=after,
        artifact=artifact,
        subject=subject,
        name=alias.name,
        detail={**detail, "forced": judged.forced, "clauses": judged.evidence.get("clauses", [])},
        cause=cause,
    )
    write([happening])
    move.artifact, move.name, move.partitions = artifact, alias.name, alias.partitions
    move.at, move.actor, move.reason, move.happening = happening.at, actor, reason, happening
    move.forced, move.evidence = judged.forced, judged.evidence
    move.save()
    verb = "alias.remove" if after is None else "alias.move"
    record(actor, verb, subject, project=artifact.project, domain=artifact.domain, detail=detail)
