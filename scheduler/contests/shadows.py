"""Runs beside production: what ran with the champion runs with each challenger too, on the same inputs."""

from __future__ import annotations

import hashlib

from django.db import transaction

from artifacts.exceptions import CausewayError, PermissionDenied
from artifacts.happenings import follow, happened
from artifacts.models import ArtifactVersion, Happening
from scheduler.actions.launch import shadow
from scheduler.authority import Action, Authority
from scheduler.contests.facts import CHAMPION_RAN, SHADOW_REFUSED
from scheduler.contests.runs import makers_of
from scheduler.models import Contest, Execution

LOOKED_AT = 500  # newest versions of the model, for one of each challenger


@follow(CHAMPION_RAN)
def run_challengers(happening: Happening) -> None:
    """Once for each challenger; one that cannot be launched says why, and keeps no other from it."""
    contest = Contest.objects.filter(pk=happening.detail.get("contest"), removed_at__isnull=True).first()
    project, domain, name = happening.execution_key.split("/")
    execution = Execution.objects.filter(project=project, domain=domain, name=name).first()
    if contest is None or execution is None:
        return
    for member, version in challengers(contest, but=happening.version_id or 0).items():
        try:
            with transaction.atomic():
                _check_may(contest, execution)
                shadow(execution, contest, version, name=_name(execution, member), why=f"{member} beside {name}")
        except CausewayError as error:
            detail = {"contest": contest.pk, "member": member, "reason": error.message[:2000]}
            happened(
                SHADOW_REFUSED,
                actor=contest.set_by,
                version=version,
                place=(project, domain),
                subject=execution.key,
                execution_key=execution.key,
                name=contest.alias,
                cause=happening,
                detail=detail,
            )


def challengers(contest: Contest, *, but: int) -> dict[str, ArtifactVersion]:
    """The newest version of each member, where it is not that one."""
    return {member: version for member, version in newest_of(contest).items() if version.pk != but}


def newest_of(contest: Contest) -> dict[str, ArtifactVersion]:
    """The newest version of each member, of those that are neither removed nor quarantined."""
    rows = ArtifactVersion.objects.filter(
        artifact__project=contest.project,
        artifact__domain=contest.domain,
        artifact__name=contest.model,
        removed_at__isnull=True,
        quarantined_at__isnull=True,
    ).exclude(execution_key="")
    newest = list(rows.select_related("artifact").defer("card", "terms").order_by("-created_at", "-pk")[:LOOKED_AT])
    makers = makers_of(contest, [version.pk for version in newest])
    found: dict[str, ArtifactVersion] = {}
    for version in newest:
        if version.pk in makers:
            found.setdefault(makers[version.pk][1], version)
    return {member: found[member] for member in contest.members if member in found}


def _check_may(contest: Contest, execution: Execution) -> None:
    """PermissionDenied where whoever set the contest may no longer launch there, or read the inputs' place."""
    authority = Authority(contest.set_by, project=contest.set_project)
    place = (execution.project, execution.domain)
    if not (authority.may(Action.LAUNCH, *place) and authority.may(Action.READ, *place)):
        raise PermissionDenied(f"{contest.set_by}, who set the contest, may no longer launch in {'/'.join(place)}")


def _name(execution: Execution, member: str) -> str:
    """The one name under which this member ever runs beside this execution."""
    return "s" + hashlib.blake2b(f"{execution.pk}:{member}".encode(), digest_size=10).hexdigest()[:19]
