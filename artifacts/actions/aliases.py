"""Aliases: movable names of one version each. Every move is kept, with who, when and why."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from artifacts.actions.holding import hold
from artifacts.exceptions import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from artifacts.happenings import ALIAS_MOVED, ALIAS_REMOVED, happened
from artifacts.models import Alias, AliasMove, Artifact, ArtifactVersion
from artifacts.names import check_alias
from audit.record import record


class AliasMoved(FailedPrecondition):
    """The alias does not name what the caller thought it did."""


ANYWHERE = ""  # as `expected`: wherever it points now
NOWHERE = "-"  # as `expected`: it must not exist yet


def move_alias(version: ArtifactVersion, name: str, *, actor: str, reason: str = "", expected: str = ANYWHERE) -> Alias:
    """Point the alias at the version. `expected` is the version it must name now, or AliasMoved tells which it does.

    Pointing it where it points already changes nothing and leaves no entry in the history. FailedPrecondition for a
    version that was removed; AlreadyExists for a new alias that is called as a version of the artifact is.
    """
    check_alias(name)
    with transaction.atomic():
        present = _locked(version.artifact, name)
        _check_expected(present, name, expected)
        if present is not None and present.version_id == version.pk:
            return present
        if not hold([version.pk]):
            raise FailedPrecondition(f"{version.version} was removed: an alias cannot name it")
        if present is None:
            _refuse_version(version.artifact, name)
        now = timezone.now()
        before = present.version if present is not None else None
        alias, _ = Alias.objects.update_or_create(
            artifact=version.artifact, name=name, defaults={"version": version, "moved_at": now}
        )
        _note(version.artifact, name, before, version, actor=actor, reason=reason)
        return alias


def drop_alias(artifact: Artifact, name: str, *, actor: str, reason: str = "", expected: str = ANYWHERE) -> None:
    """Remove the alias; NotFound when there is none. Its history stays."""
    check_alias(name)
    with transaction.atomic():
        present = _locked(artifact, name)
        if present is None:
            raise NotFound(f"{artifact.name} has no alias '{name}'")
        _check_expected(present, name, expected)
        present.delete()
        _note(artifact, name, present.version, None, actor=actor, reason=reason)


def _refuse_version(artifact: Artifact, name: str) -> None:
    if ArtifactVersion.objects.filter(artifact=artifact, version=name).exists():
        raise AlreadyExists(f"{artifact.name} has a version '{name}': no alias can be called so")


def _locked(artifact: Artifact, name: str) -> Alias | None:
    """The alias, with the artifact locked: two moves of an alias that does not exist yet contend for that."""
    Artifact.objects.select_for_update(no_key=True).get(pk=artifact.pk)
    return Alias.objects.filter(artifact=artifact, name=name).select_related("version").first()


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
    artifact: Artifact,
    name: str,
    before: ArtifactVersion | None,
    after: ArtifactVersion | None,
    *,
    actor: str,
    reason: str,
) -> None:
    if len(reason) > 10_000:
        raise InvalidArgument("the reason is longer than 10000 characters")
    AliasMove.objects.create(
        artifact=artifact,
        name=name,
        from_version=before,
        to_version=after,
        at=timezone.now(),
        actor=actor,
        reason=reason,
    )
    detail = {"from": before and before.version, "version": after and after.version, "reason": reason}
    verb = "alias.remove" if after is None else "alias.move"
    kind = ALIAS_REMOVED if after is None else ALIAS_MOVED
    happened(
        kind, actor=actor, version=after, artifact=artifact, subject=f"{artifact}:{name}", name=name, detail=detail
    )
    record(actor, verb, f"{artifact}:{name}", project=artifact.project, domain=artifact.domain, detail=detail)
