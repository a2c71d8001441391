"""What a version triggers, or would: nothing is launched and nothing written."""

from __future__ import annotations

from dataclasses import dataclass, field

from artifacts.exceptions import CausewayError
from artifacts.models import ArtifactVersion
from scheduler.models import Trigger
from scheduler.triggers.evaluate import fires_for
from scheduler.triggers.plan import plan_of
from scheduler.triggers.resolve import resolve_inputs


@dataclass(frozen=True)
class Preview:
    """`reason` says why the trigger would not launch now. `inputs` are notes as the ledger keeps them."""

    trigger: Trigger  # with its launch plan
    launches: bool
    reason: str = ""
    inputs: dict[str, dict[str, object]] = field(default_factory=dict)


def preview(version: ArtifactVersion, *, inactive: bool = False) -> list[Preview]:
    """What every active trigger on the version's artifact would do if the version were published now.

    `inactive` includes launch plans that are not active. The version need not be saved, but its artifact must be.
    """
    artifact = version.artifact
    triggers = Trigger.objects.filter(
        artifact_name=artifact.name, artifact_project=artifact.project, artifact_domain=artifact.domain
    )
    if not inactive:
        triggers = triggers.filter(active=True)
    return [_preview(trigger, version) for trigger in triggers.select_related("launch_plan").order_by("pk")[:200]]


def _preview(trigger: Trigger, version: ArtifactVersion) -> Preview:
    if not fires_for(trigger, version):
        watched = ", ".join(f"{key}={value}" for key, value in sorted(trigger.partitions.items()))
        return Preview(trigger, False, f"watches {watched}")
    try:
        resolved = resolve_inputs(plan_of(trigger.pk), version)
    except CausewayError as error:
        return Preview(trigger, False, error.message)
    if resolved.unresolved:
        return Preview(trigger, False, "; ".join(resolved.unresolved), resolved.notes)
    return Preview(trigger, trigger.active, "" if trigger.active else "the launch plan is not active", resolved.notes)
