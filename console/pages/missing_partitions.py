"""From a gap in an artifact's matrix to the launch form of what makes it, filled in with the partition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET
from flyteidl.admin import launch_plan_pb2
from flyteidl.core import interface_pb2, types_pb2

from artifacts.models import Artifact, ArtifactVersion
from artifacts.partition_values import digest_of
from artifacts.queries import newest_first
from console.access_objects import access_artifact
from console.accounts import access
from console.accounts.access import Action
from console.pages.responses import PageRequest, page
from console.pages.specs import expected_inputs
from scheduler.actions.launch_inputs import query_of
from scheduler.models import Execution, LaunchPlan
from scheduler.value_index import plain_value

TIME = "time"  # of the parameters: the period
LOOKED_AT = 20  # of the newest versions, for launch plans that are still there
LOOKED_THROUGH = 500  # newest versions, for those that executions made: of data from outside there is none


class Maker(NamedTuple):
    """A launch plan that makes versions. `fixed`: by partition key what it always makes, where its fixed inputs say."""

    plan: LaunchPlan
    fixed: Mapping[str, str]

    def makes(self, partition: Mapping[str, str]) -> bool:
        return all(partition.get(key, value) == value for key, value in self.fixed.items())


@require_GET
@page
def launch_missing(request: PageRequest, project: str, domain: str, name: str) -> HttpResponse:
    """To the launch form of the plan whose executions made the newest versions of this partition, else of any that may
    make it, its inputs filled in with what the parameters name (`?region=SEA&time=2026-03-02`); back to the artifact
    where there is none.
    """
    artifact = access_artifact(request.user, project, domain, name)
    partition = request.GET.dict()
    known = makers_of(artifact, _alike(artifact, partition))
    makers = [one for one in known if one.makes(partition)]
    may = [one for one in makers if access.can(request.user, Action.LAUNCH, one.plan.project, one.plan.domain)]
    if not may:
        messages.warning(request, _refused(artifact, partition, is_known=bool(known), is_made=bool(makers)))
        return redirect("artifact", project=project, domain=domain, name=name)
    plan = may[0].plan
    filled = filled_in(expected_inputs(plan), partition, artifact)
    address = reverse("launch-plan-launch", args=[plan.project, plan.domain, plan.name])
    return redirect(f"{address}?{urlencode(filled)}" if filled else address)


def _refused(artifact: Artifact, partition: Mapping[str, str], *, is_known: bool, is_made: bool) -> str:
    if is_made:
        return f"You may not launch what makes {artifact.name}."
    if is_known:
        values = ", ".join(f"{key}={partition[key]}" for key in artifact.partition_keys if key in partition)
        return f"No launch plan is known that makes {artifact.name} of {values}: those that make it do so of others."
    return f"No launch plan is known that makes {artifact.name}: its newest versions came from outside."


def _alike(artifact: Artifact, partition: Mapping[str, str]) -> list[str]:
    """Keys of the executions that made the newest versions with these values, of whatever period."""
    values = {key: partition[key] for key in artifact.partition_keys if key in partition}
    return _made_by(artifact.versions.filter(partition_digest=digest_of(values)))


def _made_by(rows: QuerySet[ArtifactVersion]) -> list[str]:
    """Keys of the executions that made the newest of these versions."""
    keys = newest_first(rows).values_list("execution_key", flat=True)[:LOOKED_THROUGH]
    return [key for key in keys if key][:LOOKED_AT]


def makers_of(artifact: Artifact, keys: Sequence[str] = ()) -> list[Maker]:
    """The launch plans of the executions `keys`, and those that made the newest versions, each once and in the version
    that is launched now.
    """
    newest = _made_by(artifact.versions.all())
    names = list(dict.fromkeys(_plans_of(list(dict.fromkeys([*keys, *newest])))))
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    for project, domain, name in names:
        places[project, domain].append(name)
    plans: dict[tuple[str, str, str], LaunchPlan] = {}
    for (project, domain), some in places.items():
        known = LaunchPlan.objects.filter(project=project, domain=domain, name__in=some)
        for plan in known.order_by("name", "-state", "-created_at", "-id").distinct("name"):
            plans[project, domain, plan.name] = plan
    return [Maker(plans[name], _fixed(plans[name], artifact)) for name in names if name in plans]


def _plans_of(keys: Sequence[str]) -> list[tuple[str, str, str]]:
    """The names of the launch plans of these executions, in their order."""
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    for key in keys:
        project, domain, name = key.split("/", 2)
        places[project, domain].append(name)
    columns = ("launch_plan__project", "launch_plan__domain", "launch_plan__name")
    found: dict[str, tuple[str, str, str]] = {}
    for (project, domain), names in places.items():
        rows = Execution.objects.filter(project=project, domain=domain, name__in=names, launch_plan__isnull=False)
        for name, *plan in rows.values_list("name", *columns):
            found[f"{project}/{domain}/{name}"] = (plan[0], plan[1], plan[2])
    return [found[key] for key in keys if key in found]


def _fixed(plan: LaunchPlan, artifact: Artifact) -> dict[str, str]:
    literals = launch_plan_pb2.LaunchPlanSpec.FromString(bytes(plan.spec)).fixed_inputs.literals
    plain = {key: plain_value(literals[key]) for key in artifact.partition_keys if key in literals}
    return {key: value[0] for key, value in plain.items() if value is not None}


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
