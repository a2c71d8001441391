"""From a gap in an artifact's matrix to the launch form of what makes it, filled in with the partition."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET
from flyteidl.core import interface_pb2, types_pb2

from artifacts.models import Artifact
from artifacts.queries import newest_first
from console.access_objects import access_artifact
from console.accounts import access
from console.accounts.access import Action
from console.pages.responses import PageRequest, page
from console.pages.specs import expected_inputs
from scheduler.actions.launch_inputs import query_of
from scheduler.models import Execution, LaunchPlan

TIME = "time"  # of the parameters: the period
LOOKED_AT = 20  # of the newest versions, for one whose launch plan is still there


@require_GET
@page
def launch_missing(request: PageRequest, project: str, domain: str, name: str) -> HttpResponse:
    """To the launch form of the plan whose executions made the newest versions, its inputs filled in with the
    partition that the parameters name (`?region=SEA&time=2026-03-02`); back to the artifact where there is none.
    """
    artifact = access_artifact(request.user, project, domain, name)
    plan = maker_of(artifact)
    if plan is None or not access.can(request.user, Action.LAUNCH, plan.project, plan.domain):
        words = (
            f"You may not launch what makes {artifact.name}."
            if plan is not None
            else f"No launch plan is known that makes {artifact.name}: its newest versions came from outside."
        )
        messages.warning(request, words)
        return redirect("artifact", project=project, domain=domain, name=name)
    filled = filled_in(expected_inputs(plan), request.GET.dict(), artifact)
    address = reverse("launch-plan-launch", args=[plan.project, plan.domain, plan.name])
    return redirect(f"{address}?{urlencode(filled)}" if filled else address)


def maker_of(artifact: Artifact) -> LaunchPlan | None:
    """The launch plan that made the newest version that one made, in the version that is launched now."""
    rows = newest_first(artifact.versions.exclude(execution_key=""))
    for key in dict.fromkeys(rows.values_list("execution_key", flat=True)[:LOOKED_AT]):
        project, domain, name = key.split("/", 2)
        made = Execution.objects.filter(project=project, domain=domain, name=name, launch_plan__isnull=False)
        found = made.values_list("launch_plan__project", "launch_plan__domain", "launch_plan__name").first()
        if found is not None:
            named = LaunchPlan.objects.filter(project=found[0], domain=found[1], name=found[2])
            return named.order_by("-state", "-created_at", "-id").first()
    return None


def filled_in(
    inputs: Mapping[str, interface_pb2.Parameter], partition: Mapping[str, str], artifact: Artifact
) -> dict[str, str]:
    """What the form's fields are given: inputs that are called as a partition key, and the one input of a date and
    time, or of text with the key's name, for the period.
    """
    named = inputs_named(inputs, artifact)
    filled = {f"in.{named[key]}": partition[key] for key in named if key != TIME and key in partition}
    if TIME in named and partition.get(TIME):
        filled[f"in.{named[TIME]}"] = moment_of(partition[TIME])
    return filled


def inputs_named(inputs: Mapping[str, interface_pb2.Parameter], artifact: Artifact) -> dict[str, str]:
    """By partition key, and TIME for the period: the input of a launch that says it."""
    typed = {name: one for name, one in inputs.items() if query_of(one) is None}
    named = {key: key for key in artifact.partition_keys if key in typed}
    moments = [name for name, one in typed.items() if one.var.type.simple == types_pb2.DATETIME]
    if artifact.granularity and len(moments) == 1:
        named[TIME] = moments[0]
    return named


def moment_of(period: str) -> str:
    """`2026-11`, `2026-11-26` and `2026-11-26 14:00` as a form takes them."""
    return f"{period}-01" if len(period) == len("2026-11") else period.replace(" ", "T")
