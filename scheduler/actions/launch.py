"""Starting executions. Every execution there is was inserted here."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from django.db import connection, transaction
from django.utils import timezone
from flyteidl.admin import execution_pb2, launch_plan_pb2
from flyteidl.core import execution_pb2 as core_execution
from flyteidl.core import literals_pb2

from artifacts import literals
from artifacts.actions.holding import Removed, hold
from artifacts.exceptions import FailedPrecondition, ResourceExhausted
from artifacts.models import ArtifactVersion
from artifacts.places import place_of
from artifacts.shadows import shadow_of_call
from artifacts.store import store
from audit.record import record
from lineage.models import Via
from scheduler.actions.expected_inputs import check_labels
from scheduler.actions.identifiers import check_execution_name
from scheduler.actions.launch_inputs import Gathered, Resolved, gather
from scheduler.actions.launch_rows import Launched, NotTogether, gather_up, is_gathering, write
from scheduler.actions.launch_spec import complete_spec
from scheduler.actions.launchable import Launchable, find_launchable
from scheduler.attributes import Applied, Place, applied_at
from scheduler.authority import Action, Authority, is_called_by_task, project_of_call
from scheduler.contests.facts import note_champion
from scheduler.environment import check_environment
from scheduler.models import Contest, Execution, ExecutionMode, LaunchPlan, NodeExecution
from scheduler.phases import EXECUTION_TERMINAL, ExecutionPhase
from scheduler.tags import tags_of
from scheduler.uris import Uris

__all__ = ["LaunchRequest", "Resolved", "generate_name", "launch", "recover", "relaunch"]

# Without vowels and look-alikes, as Kubernetes generates names.
NAME_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
NAME_LENGTH = 20
# By the tiers of core.QualityOfService; what says nothing is in the middle.
PRIORITIES = {core_execution.QualityOfService.HIGH: 10, core_execution.QualityOfService.LOW: -10}
_LAUNCHING = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


@dataclass(frozen=True)
class LaunchRequest:
    """`spec.launch_plan` names a launch plan or a task. An empty name is generated."""

    project: str
    domain: str
    name: str
    spec: execution_pb2.ExecutionSpec
    inputs: literals_pb2.LiteralMap = field(default_factory=literals_pb2.LiteralMap)


def generate_name() -> str:
    return "a" + "".join(secrets.choice(NAME_LETTERS) for _ in range(NAME_LENGTH - 1))


def launch(
    request: LaunchRequest,
    *,
    actor: str,
    mode: ExecutionMode = ExecutionMode.MANUAL,
    parent_node: NodeExecution | None = None,
    reference: Execution | None = None,
    trigger: ArtifactVersion | None = None,
    trigger_id: int | None = None,
    resolved: Mapping[str, Resolved] | None = None,
    origins: Mapping[str, Sequence[int]] | None = None,
    only_in: str = "",
    shadow_id: int | None = None,
    alone: bool = False,
) -> Execution:
    """Starts an execution of a launch plan or task and wakes the engine after the commit.

    Inputs are completed with the launch plan's defaults and fixed values; artifact queries among the defaults are
    resolved now. `trigger` is the artifact version that caused the launch, by the
    trigger of `trigger_id`; `resolved` says how those of
    `request.inputs` were found that the caller resolved himself; `origins`, by input, the versions that flowed into
    those that are no versions themselves (scheduler.shell.origins). The row, its inputs in the store and its lineage
    appear together or not at all.

    It runs with the rights of `actor`, a child with those of its parent's principal; in the project `only_in` alone, or
    that of the token the call came with, where there is one. Whether he may launch in that
    project and domain is asked by the caller; here, whether he may read whatever the launch refers to elsewhere.

    Raises InvalidArgument (unknown, fixed, missing or ill-typed inputs, all of them named; a bad name; an archived
    project), PermissionDenied (what the launch plan, a query or an input leads to is not for the principal to read),
    NotFound (no such launch plan or task, or none for the principal to read),
    QueryUnresolved (an input's query matches nothing), AlreadyExists (an execution of that name), ResourceExhausted
    (the launch plan's concurrency policy).

    `shadow_id`: the contest for which it runs beside production; what such a run starts is one too. `alone`: what is
    raised here ends the caller's transaction, so that it needs no savepoint.
    """
    if request.name:
        check_execution_name(request.name)
    check_labels(request.spec.labels)
    check_environment(request.spec.envs.values)
    principal = parent_node.execution.principal if parent_node is not None else actor
    home = (request.project, request.domain)
    confined = parent_node.execution.principal_project if parent_node else only_in or project_of_call(actor)
    authority = Authority(principal, home, confined)
    found = find_launchable(request.spec.launch_plan, place=home, authority=authority)
    plan = found.plan
    gathered = gather(
        request.inputs.literals,
        expected=plan.expected,
        fixed=plan.spec.fixed_inputs,
        project=plan.project,
        domain=plan.domain,
        trigger=trigger,
        resolved=resolved or {},
        via=Via.LITERAL if parent_node is not None else Via.OVERRIDE,
        authority=authority,
    )
    place = Place(request.project, request.domain, plan.spec.workflow_id.name)
    applied = applied_at(place) if found.is_configured else Applied()
    spec = complete_spec(
        request.spec,
        plan.spec,
        mode=mode,
        principal=principal,
        parent_node=parent_node,
        reference=reference,
        applied=applied,
    )
    _check_prefix(spec.raw_output_data_config.output_location_prefix, authority, home)
    now = timezone.now()
    execution = Execution(
        project=request.project,
        domain=request.domain,
        name=request.name or generate_name(),
        launch_plan_id=plan.pk,
        workflow_id=plan.workflow_id,
        task_id=found.task_id,
        spec=spec.SerializeToString(),
        tags=tags_of(spec),
        task_resources=applied.task_resources.SerializeToString() if applied.task_resources else None,
        resolution=gathered.as_json(),
        mode=mode,
        principal=principal,
        principal_project=confined,
        parent_node=parent_node,
        is_part=parent_node is not None or is_called_by_task(),
        priority=PRIORITIES.get(spec.quality_of_service.tier, 0),
        reference=reference,
        shadow_id=shadow_id or _shadow_of(parent_node, reference),
        created_at=now,
        updated_at=now,
        dirty=True,
        counters={"origins": {"taken": origins}} if origins else {},
    )
    execution.inputs_uri = Uris.of_key(execution.key).inputs("")
    launched = Launched(execution, gathered, trigger, trigger_id)
    if is_gathering():
        if plan.spec.HasField("concurrency_policy") or found.is_shadowed:
            raise NotTogether
        _hold_inputs(gathered)
        gather_up(launched)
        return execution
    # A trigger's try to launch has a savepoint of its own (scheduler.triggers.attempts).
    with transaction.atomic(savepoint=trigger_id is None and not alone):
        if execution.shadow_id is None:
            _check_concurrency(plan)
        _hold_inputs(gathered)
        write([launched])
        if parent_node is None and mode in _VERBS:
            detail = {"source": reference.key} if reference is not None else {}
            record(actor, _VERBS[mode], execution, detail=detail)
        if found.is_shadowed and execution.shadow_id is None and mode != ExecutionMode.RECOVERED:
            taken = {name: one.version for name, one in gathered.resolved.items()}
            note_champion(execution, (plan.project, plan.domain, plan.name), taken)
    return execution


def _shadow_of(parent_node: NodeExecution | None, reference: Execution | None) -> int | None:
    """What a run beside production starts, and what is started of one again, is one too."""
    if parent_node is not None:
        return parent_node.execution.shadow_id
    return shadow_of_call() if reference is None else reference.shadow_id or shadow_of_call()


def _check_prefix(prefix: str, authority: Authority, home: tuple[str, str]) -> None:
    """Data is written below `<prefix>/<project>/<domain>/`: in our store only where the principal may write."""
    place = place_of("/".join([prefix.rstrip("/"), *home, "data"])) if prefix else None
    if place is not None and place != home:
        authority.require(Action.LAUNCH, [place], what=f", where the raw output prefix {prefix} leads")


def _hold_inputs(gathered: Gathered) -> None:
    """Removed if one of the versions was removed since it was found; the others stay from now on, for the
    execution is unfinished. What fires stays anyway: its row is locked, or its firing waits.
    """
    found = gathered.resolved.items()
    there = {one.version.pk: (name, one.version) for name, one in found if one.via != Via.TRIGGER}
    gone = [there[pk] for pk in there.keys() - hold(there).keys()] if there else []
    for name, version in gone:
        if version.removed_at is None:
            raise Removed(f'input "{name}": {version} was removed at this very moment')


def _check_concurrency(plan: Launchable) -> None:
    """ResourceExhausted if the launch plan, in all its versions, runs as often as its policy allows.

    In the transaction that inserts the execution: of those that launch the same plan at once, one counts after the
    other. (flyteadmin's checkLaunchPlanConcurrency counts the same, without a lock. It answers ALREADY_EXISTS, which
    flytekit takes for "an execution of that name exists".)
    """
    policy = plan.spec.concurrency_policy
    skips = policy.behavior == launch_plan_pb2.CONCURRENCY_LIMIT_BEHAVIOR_SKIP
    if not plan.spec.HasField("concurrency_policy") or not skips:
        return
    with connection.cursor() as cursor:
        cursor.execute(_LAUNCHING, [f"launch:{plan.project}/{plan.domain}/{plan.name}"])
    running = Execution.objects.filter(
        launch_plan__project=plan.project,
        launch_plan__domain=plan.domain,
        launch_plan__name=plan.name,
        shadow__isnull=True,
    ).exclude(phase__in=EXECUTION_TERMINAL)
    if running.count() >= policy.max:
        raise ResourceExhausted(f"launch plan {plan.name} already runs {policy.max} executions, as many as it may")


# What people do; what a trigger or schedule launches is in its ledger.
_VERBS = {
    ExecutionMode.MANUAL: "execution.launch",
    ExecutionMode.RELAUNCH: "execution.relaunch",
    ExecutionMode.RECOVERED: "execution.recover",
}


def relaunch(
    execution: Execution,
    *,
    name: str = "",
    overwrite_cache: bool = False,
    inputs: literals_pb2.LiteralMap | None = None,
    newest: bool = False,
    resolved: Mapping[str, Resolved] | None = None,
    actor: str,
) -> Execution:
    """Runs the same again with the inputs it ran with, artifact versions included; `inputs` replaces some of them.

    With `newest` the launch plan's queries are asked again, for what fits now. `resolved` says how those of `inputs`
    were found that the caller resolved himself.
    """
    return _again(
        execution,
        name=name,
        mode=ExecutionMode.RELAUNCH,
        overwrite_cache=overwrite_cache,
        changed=inputs or literals_pb2.LiteralMap(),
        newest=newest,
        resolved=resolved,
        actor=actor,
    )


def recover(execution: Execution, *, name: str = "", actor: str) -> Execution:
    """Runs an ended execution again, keeping what succeeded. FailedPrecondition while it runs, or if it succeeded."""
    phase = ExecutionPhase(execution.phase)
    if phase not in EXECUTION_TERMINAL:
        raise FailedPrecondition(f"execution {execution.key} has not ended: it is {phase.label.lower()}")
    if phase == ExecutionPhase.SUCCEEDED:
        raise FailedPrecondition(f"execution {execution.key} succeeded: there is nothing to recover")
    nothing = literals_pb2.LiteralMap()
    return _again(
        execution, name=name, mode=ExecutionMode.RECOVERED, overwrite_cache=False, changed=nothing, actor=actor
    )


def shadow(execution: Execution, contest: Contest, version: ArtifactVersion, *, name: str, why: str) -> Execution:
    """Runs the same beside it, with another version of the model: behind whatever else waits, and telling nobody.

    On the authority of whoever set the contest. What it publishes is marked (artifacts.shadows).
    """
    changed = literals_pb2.LiteralMap()
    literal = literals_pb2.Literal.FromString(bytes(version.literal))
    changed.literals[contest.shadow_input].CopyFrom(literals.carry(literal, version.pk))
    return _again(
        execution,
        name=name,
        mode=ExecutionMode.SYSTEM,
        overwrite_cache=False,
        changed=changed,
        resolved={contest.shadow_input: Resolved(Via.QUERY, version, why)},
        actor=contest.set_by,
        contest=contest,
    )


def _again(
    execution: Execution,
    *,
    name: str,
    mode: ExecutionMode,
    overwrite_cache: bool,
    changed: literals_pb2.LiteralMap,
    newest: bool = False,
    resolved: Mapping[str, Resolved] | None = None,
    actor: str,
    contest: Contest | None = None,
) -> Execution:
    spec = execution_pb2.ExecutionSpec.FromString(bytes(execution.spec))
    spec.overwrite_cache = overwrite_cache
    if contest is not None:
        spec.disable_all = True
        spec.quality_of_service.tier = core_execution.QualityOfService.LOW
    inputs = literals_pb2.LiteralMap.FromString(store().get(execution.inputs_uri))
    if execution.launch_plan is not None:
        fixed = launch_plan_pb2.LaunchPlanSpec.FromString(bytes(execution.launch_plan.spec)).fixed_inputs
        for left_out in (*fixed.literals, *(_queried(execution.launch_plan) if newest else ())):
            inputs.literals.pop(left_out, None)
    for changed_name, literal in changed.literals.items():
        inputs.literals[changed_name].CopyFrom(literal)
    request = LaunchRequest(execution.project, execution.domain, name, spec, inputs)
    same = inputs.literals.keys() - changed.literals.keys()
    kept = {**_kept_resolutions(execution, same), **(resolved or {})}
    taken = execution.counters.get("origins", {}).get("taken", {})
    origins = {name: ids for name, ids in taken.items() if name in same}
    return launch(
        request,
        actor=actor,
        mode=mode,
        reference=execution,
        resolved=kept,
        origins=origins,
        only_in=contest.set_project if contest is not None else "",
        shadow_id=contest.pk if contest is not None else None,
    )


def _queried(plan: LaunchPlan) -> list[str]:
    """Its inputs that a query finds."""
    expected = launch_plan_pb2.LaunchPlanClosure.FromString(bytes(plan.closure)).expected_inputs.parameters
    return [name for name, parameter in expected.items() if parameter.WhichOneof("behavior") == "artifact_query"]


def _kept_resolutions(execution: Execution, same: Collection[str]) -> dict[str, Resolved]:
    """Versions found by a trigger or query the first time are still that, not somebody's choice of today."""
    kept = {name: one for name, one in execution.resolution.items() if name in same}
    versions = ArtifactVersion.objects.select_related("artifact").in_bulk({one["version_id"] for one in kept.values()})
    return {
        name: Resolved(Via(one["via"]), versions[one["version_id"]], f"as in {execution.name}: {one['explanation']}")
        for name, one in kept.items()
        if one["version_id"] in versions
    }
