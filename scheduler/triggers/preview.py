"""What a version triggers, or would: nothing is launched and nothing written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone

from artifacts.exceptions import CausewayError
from artifacts.governance.standing import Standing, standing_of
from artifacts.models import Artifact, ArtifactVersion
from artifacts.partitions import truncate
from artifacts.queries import check_keys, newest_of
from artifacts.wanted import Wanted
from scheduler.authority import Authority
from scheduler.models import Trigger, TriggerMode, TriggerSource
from scheduler.triggers.attempts import authority_of
from scheduler.triggers.limits import refusal
from scheduler.triggers.matching import Match, matches_of
from scheduler.triggers.plan import plan_of
from scheduler.triggers.resolve import Fired, resolve_inputs
from scheduler.triggers.rounds import would_complete
from scheduler.vouching import NoAuthority

SHOWN = 200


@dataclass(frozen=True)
class Preview:
    """`reason` says why the trigger would not launch now. `inputs` are notes as the ledger keeps them."""

    trigger: Trigger  # with its launch plan
    launches: bool
    reason: str = ""
    inputs: dict[str, dict[str, object]] = field(default_factory=dict)


def hypothetical(
    artifact: Artifact, *, partitions: Mapping[str, str], time_partition: datetime | None
) -> ArtifactVersion:
    """A version that nobody published, with the newest one's value. InvalidArgument for keys the artifact lacks."""
    wanted = Wanted(*artifact.key, partitions=partitions, time_partition=time_partition)
    check_keys(artifact, wanted)
    newest = newest_of(artifact)
    return ArtifactVersion(
        artifact=artifact,
        version="(hypothetical)",
        partitions=dict(partitions),
        time_partition=truncate(time_partition, artifact.granularity) if time_partition else None,
        literal=newest.literal if newest is not None else b"",
        literal_type=newest.literal_type if newest is not None else b"",
        created_at=timezone.now(),
    )


def preview(version: ArtifactVersion, *, reader: Authority, inactive: bool = False) -> list[Preview]:
    """What every active trigger on the version's artifact would do if the version were published now.

    `reader` is of who wants to know: what he may not read is not resolved for him.
    `inactive` includes launch plans that are not active. The version need not be saved, but its artifact must be.
    """
    artifact = version.artifact
    sources = TriggerSource.objects.filter(
        name=artifact.name, project=artifact.project, domain=artifact.domain, alias=""
    )
    if not inactive:
        sources = sources.filter(active=True)
    matches = matches_of(sources.select_related("trigger__launch_plan"))
    return [_preview(match, version, reader) for match in matches[:SHOWN]]


def _preview(match: Match, version: ArtifactVersion, reader: Authority) -> Preview:
    trigger = match.trigger
    if not match.fires(version):
        return Preview(trigger, False, match.watches())
    members: dict[int, ArtifactVersion] = {}
    if trigger.mode == TriggerMode.ALL:
        members, lacking = would_complete(trigger, version)
        if lacking:
            return Preview(trigger, False, f"waits for {lacking}")
    fired = Fired(version, members)
    try:
        resolved = resolve_inputs(plan_of(trigger.pk), fired, reader)
    except CausewayError as error:
        return Preview(trigger, False, error.message)
    if resolved.unresolved:
        return Preview(trigger, False, "; ".join(resolved.unresolved), resolved.notes)
    reason = _held_back(trigger, fired)
    return Preview(trigger, not reason, reason, resolved.notes)


def _standing(fired: Fired) -> Standing:
    """Of the first version that its checks do not let pass; one that nobody published has none."""
    found = [standing_of(version.pk) for version in fired.versions() if version.pk is not None]
    return next((one for one in found if not one.passed), Standing((), ()))


def _held_back(trigger: Trigger, fired: Fired) -> str:
    if not trigger.active:
        return "the launch plan is not active"
    try:
        authority_of(trigger, fired)
    except NoAuthority as error:
        return error.message
    if trigger.needs_checks and not (standing := _standing(fired)).passed:
        return standing.said()
    if trigger.paused_at is not None:
        return f"paused by {trigger.paused_by}, backlog: {trigger.backlog}"
    refused = refusal(trigger, timezone.now())
    return f"{refused.reason}: {trigger.on_limit}" if refused is not None else ""
