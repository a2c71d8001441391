"""Who trains for a contest: launch plans whose trigger launches them for each version of its dataset.

A launch plan that has a trigger of its own keeps it; one that has none is given one, by the same mechanism.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet
from flyteidl.core import artifact_id_pb2
from google.protobuf import any_pb2

from artifacts import wire
from artifacts.exceptions import InvalidArgument
from scheduler.models import Contest, LaunchPlan, OnLimit, Trigger, TriggerSource
from scheduler.triggers.plan import TriggerPlan, conditions_of, plan_of_launch_plan
from scheduler.triggers.register import check_types, give, takes_triggering
from scheduler.triggers.switch import switch_off, switch_on

Key = tuple[str, str, str]  # of an artifact


def active_plans(contest: Contest) -> dict[str, LaunchPlan]:
    """The active version of each member that has one."""
    rows = LaunchPlan.objects.filter(
        project=contest.project, domain=contest.domain, name__in=contest.members, state=LaunchPlan.State.ACTIVE
    )
    return {row.name: row for row in rows.select_related("workflow").order_by("pk")}


def dataset_of(contest: Contest) -> Key:
    return contest.dataset_project, contest.dataset_domain, contest.dataset_name


def check_takes(contest: Contest, launch_plan: LaunchPlan) -> None:
    """InvalidArgument where it does not take the dataset: its own trigger watches something else, or not every version;
    or it has none, and no input that a version of the dataset could fill.
    """
    trigger = Trigger.objects.filter(launch_plan=launch_plan).first()
    if trigger is not None:
        if said := out_of_step(contest, trigger):
            raise InvalidArgument(f"launch plan {launch_plan.name} does not take {contest.dataset}: {said}")
        return
    try:
        plan = plan_of_launch_plan(launch_plan, conditions_for(contest))
        check_types(plan)
        if not _takes(plan, contest):
            raise InvalidArgument("no input is filled by it")
    except InvalidArgument as error:
        raise InvalidArgument(f"launch plan {launch_plan.name} does not take {contest.dataset}: {error}") from None


def _takes(plan: TriggerPlan, contest: Contest) -> bool:
    around = plan.launch_plan
    for parameter in plan.sources.values():
        key = parameter.artifact_query.artifact_id.artifact_key
        named = (key.project or around.project, key.domain or around.domain, key.name)
        if takes_triggering(parameter) or named == dataset_of(contest):
            return True
    return False


def conditions_for(contest: Contest) -> any_pb2.Any:
    """The launch conditions that `OnArtifact` of the dataset would be."""
    project, domain, name = dataset_of(contest)
    key = artifact_id_pb2.ArtifactKey(project=project, domain=domain, name=name)
    trigger = wire.Trigger(trigger=artifact_id_pb2.ArtifactID(artifact_key=key))
    return any_pb2.Any(
        type_url=f"type.googleapis.com/{wire.PACKAGE}.Trigger", value=trigger.SerializeToString(deterministic=True)
    )


def out_of_step(contest: Contest, trigger: Trigger) -> str:
    """Why it does not launch once for each version of the dataset; empty where it does."""
    own = [source for source in trigger.sources.all() if _key(source) == dataset_of(contest)]
    if not own or trigger.alias:
        watched = ", ".join(str(source) for source in trigger.sources.all())
        given = " which a contest gave it: register a new version" if trigger.contest_id is not None else ""
        return f"its trigger watches {watched}{given}"
    if all(source.conditions for source in own):
        return f"its trigger takes only versions with {' or '.join(source.conditions for source in own)}"
    if trigger.newest_only:
        return "its trigger launches for the newest version alone (newest_only)"
    if trigger.is_limited and trigger.on_limit != OnLimit.QUEUE:
        return f"its trigger leaves versions out where a limit is reached (on_limit={trigger.on_limit})"
    return ""


def _key(source: TriggerSource) -> Key:
    return source.project, source.domain, source.name


def enrol(contest: Contest, launch_plan: LaunchPlan, *, at: datetime) -> None:
    """Give an active member without a trigger one, and switch on again what a contest gave it before."""
    trigger = Trigger.objects.filter(launch_plan=launch_plan).first()
    if trigger is None:
        trigger = give(launch_plan, conditions_for(contest), contest=contest)
    elif trigger.contest_id is None or (trigger.active and trigger.contest_id == contest.pk):
        return
    trigger.contest = contest
    trigger.activated_by, trigger.activated_project = contest.set_by, contest.set_project
    trigger.save(update_fields=["contest", "activated_by", "activated_project"])
    if not trigger.active:
        switch_on(launch_plan, at=at, since=at)


def leave(contest: Contest, names: list[str]) -> None:
    """What the contest gave to launch plans that are no members any more goes off, unless another one keeps it."""
    triggers = Trigger.objects.filter(contest=contest, launch_plan__name__in=names).select_related("launch_plan")
    for trigger in triggers.order_by("pk"):
        plan = trigger.launch_plan
        other = contests_of(plan).exclude(pk=contest.pk).first()
        if other is not None and not out_of_step(other, trigger):
            trigger.contest = other
            trigger.save(update_fields=["contest"])
        elif trigger.active:
            switch_off(plan)


def contests_of(launch_plan: LaunchPlan) -> QuerySet[Contest]:
    return Contest.objects.filter(
        project=launch_plan.project,
        domain=launch_plan.domain,
        members__contains=[launch_plan.name],
        removed_at__isnull=True,
    ).order_by("pk")


def join(launch_plan: LaunchPlan) -> None:
    """A version of a launch plan that is being activated, and has no trigger of its own, is given one by its contest.

    One that cannot take the dataset stays without: the board says that it is out of step.
    """
    if conditions_of(launch_plan) is not None or Trigger.objects.filter(launch_plan=launch_plan).exists():
        return
    for contest in contests_of(launch_plan):
        try:
            check_takes(contest, launch_plan)
            give(launch_plan, conditions_for(contest), contest=contest)
        except InvalidArgument:
            continue
        return


def states(contest: Contest) -> dict[str, str]:
    """Of each member why it is not in step now; empty where it is. Two queries."""
    plans = active_plans(contest)
    rows = Trigger.objects.filter(launch_plan__in=[plan.pk for plan in plans.values()]).prefetch_related("sources")
    triggers = {row.launch_plan_id: row for row in rows}
    return {name: _state(contest, plans.get(name), triggers) for name in contest.members}


def _state(contest: Contest, plan: LaunchPlan | None, triggers: dict[int, Trigger]) -> str:
    if plan is None:
        return "no version of it is active"
    trigger = triggers.get(plan.pk)
    if trigger is None or not trigger.active:
        return f"its active version {plan.version} has no trigger on the dataset"
    if trigger.paused_at is not None:
        return f"its trigger was paused by {trigger.paused_by}"
    return out_of_step(contest, trigger)
