"""Contests: which launch plans train for an alias, set and taken back, and challengers that are made champion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone
from flyteidl.admin import launch_plan_pb2

from artifacts.exceptions import FailedPrecondition, InvalidArgument, NotFound
from artifacts.measures import Better, better_of
from artifacts.models import ArtifactVersion
from artifacts.names import check_alias, check_name, check_place
from artifacts.wire import check_text
from audit.record import record
from scheduler.authority import project_of_call
from scheduler.contests.members import active_plans, check_takes, dataset_of, enrol, leave
from scheduler.models import Contest, LaunchPlan, NamedEntity, Project, ResourceType, Trigger, TriggerFiring
from scheduler.triggers.evaluate import evaluate_version, fire_for

LEAST, MOST = 2, 20  # members
MAX_NAME = 255


@dataclass(frozen=True)
class Wish:
    """A contest as somebody wants it set. `better`: more or less; empty: as the metric's name tells."""

    dataset: tuple[str, str, str]
    members: Sequence[str]
    metric: str
    better: str = ""
    shadow_plan: str = ""
    shadow_input: str = ""


def dataset_key(text: str, project: str, domain: str) -> tuple[str, str, str]:
    """Of a name, or project/domain/name. InvalidArgument for anything else."""
    parts = text.split("/")
    if len(parts) == 1:
        return project, domain, text
    if len(parts) != 3 or not all(parts):
        raise InvalidArgument(f"dataset: a name, or project/domain/name, not {text[:80]!r}")
    return parts[0], parts[1], parts[2]


def check_model(contest: Contest, version: ArtifactVersion) -> None:
    """InvalidArgument for a version of something else than what the contest's members publish."""
    if version.artifact.key != (contest.project, contest.domain, contest.model):
        raise InvalidArgument(f"{version} is no version of {contest.project}/{contest.domain}/{contest.model}")


def set_contest(project: str, domain: str, model: str, alias: str, wish: Wish, *, actor: str) -> Contest:
    """Set the contest for the model's alias, in the place of the one that there was.

    From now on each version of the dataset launches every member once: by its own trigger, or one that it is given.
    InvalidArgument for what cannot be kept in step: fewer than two members, one twice, one that does not take the
    dataset, no metric; NotFound for launch plans that there are not; FailedPrecondition for one without an active
    version.
    """
    check_place(project, domain)
    check_name(model)
    check_alias(alias)
    values = _checked(project, domain, wish)
    with transaction.atomic():
        _lock(project, domain, wish.members)
        contest = Contest.objects.filter(
            project=project, domain=domain, model=model, alias=alias, removed_at__isnull=True
        ).first() or Contest(project=project, domain=domain, model=model, alias=alias, members=[])
        before = list(contest.members)
        for name, value in values.items():
            setattr(contest, name, value)
        contest.set_by, contest.set_project, contest.set_at = actor, project_of_call(actor), timezone.now()
        plans = _plans(contest)
        for plan in plans:
            check_takes(contest, plan)
        contest.save()
        leave(contest, [name for name in before if name not in contest.members])
        for plan in plans:
            enrol(contest, plan, at=contest.set_at)
        record(actor, "contest.set", contest, detail=_detail(contest))
    return contest


def remove_contest(contest: Contest, *, actor: str) -> None:
    """It is over: triggers that it gave go off; what it launched stays. NotFound for one that was removed before."""
    with transaction.atomic():
        _lock(contest.project, contest.domain, contest.members)
        if not Contest.objects.filter(pk=contest.pk, removed_at__isnull=True).update(removed_at=timezone.now()):
            raise NotFound(f"the contest of {contest} was removed before")
        leave(contest, contest.members)
        record(actor, "contest.remove", contest)


def _checked(project: str, domain: str, wish: Wish) -> dict[str, object]:
    """The columns, as far as they can be told without the launch plans."""
    members = list(wish.members)
    if not all(isinstance(name, str) and 0 < len(name) <= MAX_NAME for name in members):
        raise InvalidArgument(f"members: names of launch plans, of 1 to {MAX_NAME} characters each")
    if twice := sorted({name for name in members if members.count(name) > 1}):
        raise InvalidArgument(f"members: {', '.join(twice)} twice; each trains once for a version of the dataset")
    if not LEAST <= len(members) <= MOST:
        raise InvalidArgument(f"members: {LEAST} to {MOST} launch plans, not {len(members)}")
    place = wish.dataset[:2]
    check_place(*place)
    check_name(wish.dataset[2])
    return {
        "dataset_project": place[0],
        "dataset_domain": place[1],
        "dataset_name": wish.dataset[2],
        "members": members,
        **_measure(wish),
        **_shadow(project, domain, wish),
    }


def _measure(wish: Wish) -> dict[str, str]:
    if not wish.metric.strip() or len(wish.metric) > MAX_NAME:
        raise InvalidArgument("metric: by which of the models' metrics they are compared, such as auc")
    check_text(wish.metric, "the metric")
    better = wish.better or better_of(wish.metric).value
    if better not in (Better.MORE.value, Better.LESS.value):
        said = f"not {wish.better[:80]!r}" if wish.better else f"which its name, {wish.metric!r}, does not tell"
        raise InvalidArgument(f"better: {Better.MORE.value} or {Better.LESS.value}, {said}")
    return {"metric": wish.metric, "better": better}


def _shadow(project: str, domain: str, wish: Wish) -> dict[str, str]:
    """InvalidArgument for an input that the launch plan does not take, or fixes."""
    if not wish.shadow_plan:
        if wish.shadow_input:
            raise InvalidArgument("shadow_input: of a shadow_plan, which is not given")
        return {"shadow_plan": "", "shadow_input": ""}
    if wish.shadow_plan in wish.members:
        raise InvalidArgument(f"shadow_plan: {wish.shadow_plan} trains; it cannot also be what runs with the models")
    rows = LaunchPlan.objects.filter(project=project, domain=domain, name=wish.shadow_plan)
    newest = rows.order_by("-state", "-created_at", "-pk").first()
    if newest is None:
        raise NotFound(f"there is no launch plan {project}/{domain}/{wish.shadow_plan[:MAX_NAME]}")
    expected = launch_plan_pb2.LaunchPlanClosure.FromString(bytes(newest.closure)).expected_inputs.parameters
    if wish.shadow_input not in expected:
        inputs = ", ".join(sorted(expected)) or "none"
        raise InvalidArgument(
            f"shadow_input: which input of {wish.shadow_plan} takes the model? Not {wish.shadow_input[:80]!r}; its "
            f"inputs: {inputs}"
        )
    return {"shadow_plan": wish.shadow_plan, "shadow_input": wish.shadow_input}


def _lock(project: str, domain: str, members: Sequence[str]) -> None:
    """Contests of a project are set one at a time, and no member is activated meanwhile, in one order with that."""
    if not Project.objects.select_for_update(no_key=True).filter(identifier=project).exists():
        raise NotFound(f"there is no project {project}")
    names = NamedEntity.objects.select_for_update().filter(
        resource_type=ResourceType.LAUNCH_PLAN, project=project, domain=domain, name__in=members
    )
    list(names.order_by("pk"))


def _plans(contest: Contest) -> list[LaunchPlan]:
    """The active versions of all members. NotFound, FailedPrecondition."""
    active = active_plans(contest)
    lacking = [name for name in contest.members if name not in active]
    place = {"project": contest.project, "domain": contest.domain}
    known = set(LaunchPlan.objects.filter(**place, name__in=lacking).values_list("name", flat=True))
    if unknown := [name for name in lacking if name not in known]:
        where = f"{contest.project}/{contest.domain}"
        raise NotFound(f"there is no launch plan {', '.join(unknown)} in {where}")
    if lacking:
        raise FailedPrecondition(f"no version of {', '.join(lacking)} is active: activate one first")
    return [active[name] for name in contest.members]


def _detail(contest: Contest) -> dict[str, object]:
    detail: dict[str, object] = {
        "dataset": contest.dataset,
        "members": list(contest.members),
        "metric": contest.metric,
        "better": contest.better,
    }
    return detail | ({"shadow": f"{contest.shadow_plan}({contest.shadow_input})"} if contest.shadow_plan else {})


def catch_up(contest: Contest, version: ArtifactVersion, *, actor: str) -> list[str]:
    """Have the members train on a version of the dataset that they did not train on, by their triggers; their names.

    Once, whoever asks: a member for which the ledger has a row of that version is left alone, whichever version of the
    launch plan it is of. InvalidArgument for a version of something else, FailedPrecondition for one that is gone.
    """
    if version.artifact.key != dataset_of(contest):
        raise InvalidArgument(f"{version} is no version of {contest.dataset}")
    if version.removed_at is not None or version.is_shadow:
        raise FailedPrecondition(f"{version} was removed: nothing can be trained on it")
    place = {"trigger__launch_plan__project": contest.project, "trigger__launch_plan__domain": contest.domain}
    evaluate_version(version.pk)  # what is about to train on it is not missing
    with transaction.atomic():
        ArtifactVersion.objects.select_for_update(no_key=True).only("pk").get(pk=version.pk)  # as evaluations do, first
        _lock(contest.project, contest.domain, contest.members)
        done = TriggerFiring.objects.filter(**place, version=version, trigger__launch_plan__name__in=contest.members)
        names = set(done.values_list("trigger__launch_plan__name", flat=True))
        missing = {name: plan for name, plan in active_plans(contest).items() if name not in names}
        triggers = Trigger.objects.filter(launch_plan__in=[plan.pk for plan in missing.values()], active=True)
        fired = [trigger for trigger in triggers.select_related("launch_plan") if not trigger.alias]
        fire_for(version.pk, [trigger.pk for trigger in fired])
        started = sorted(trigger.launch_plan.name for trigger in fired)
        record(actor, "contest.catch_up", contest, detail={"version": version.version, "members": started})
    return started
