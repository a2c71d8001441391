"""Registering tasks, workflows and launch plans: immutable versions, validated as flyteadmin does."""

from __future__ import annotations

import hashlib
from typing import TypeVar

from django.db import transaction
from django.utils import timezone
from flyteidl.admin import launch_plan_pb2, task_pb2, workflow_pb2
from flyteidl.core import compiler_pb2, identifier_pb2, interface_pb2, tasks_pb2
from google.protobuf import timestamp_pb2
from google.protobuf.message import Message

from artifacts.exceptions import AlreadyExists, InvalidArgument, NotFound
from artifacts.inserting import insert_rows
from artifacts.prepared import prepared
from audit.record import record
from scheduler.actions.approvers import check_fulfilled
from scheduler.actions.differences import describe_differences
from scheduler.actions.expected_inputs import check_labels, expected_inputs
from scheduler.actions.foreign import read_by_plan, written_by
from scheduler.actions.identifiers import check_identifier, check_project_state
from scheduler.approving.declared import declared
from scheduler.attributes import Place, applied_at
from scheduler.authority import Action, Authority
from scheduler.compiler import compile_closure, requirements_of
from scheduler.compiler.errors import spell
from scheduler.compiler.lookup import load
from scheduler.compiler.requirements import places_of
from scheduler.environment import check_environment, check_setting, check_variable
from scheduler.models import LaunchPlan, NamedEntity, ResourceType, Schedule, Task, Workflow
from scheduler.models.registry import RegisteredVersion
from scheduler.schedules.parse import schedule_of
from scheduler.statements import select
from scheduler.task_resources import check_template
from scheduler.triggers.register import attach

Row = TypeVar("Row", Task, Workflow, LaunchPlan)


def register_task(identifier: identifier_pb2.Identifier, spec: task_pb2.TaskSpec, *, actor: str) -> Task:
    """A new task version. AlreadyExists when it is registered with the same content, InvalidArgument with another.

    PermissionDenied when its outputs are published into a project where `actor` may not publish.
    """
    check_identifier(identifier, identifier_pb2.TASK)
    if not spec.HasField("template"):
        raise InvalidArgument("missing spec")
    template = spec.template
    if not template.type:
        raise InvalidArgument("missing type")
    if not template.HasField("metadata"):
        raise InvalidArgument("missing metadata")
    if not template.HasField("interface"):
        raise InvalidArgument("missing typed interface")
    if template.HasField("container") and not template.container.image:
        raise InvalidArgument("missing image")
    _check_variables(template.interface)
    _check_environment(template)
    _check_targets(template.interface, identifier, actor)
    stored = task_pb2.TaskSpec()
    stored.CopyFrom(spec)
    stored.template.id.CopyFrom(identifier)
    digest = _digest(stored.template)
    _check_new(Task, identifier, digest, stored)
    applied = applied_at(Place(identifier.project, identifier.domain))
    check_template(stored.template, applied.task_resources)
    compiled = compiler_pb2.CompiledTask(template=stored.template)
    row = Task(
        **_columns(identifier),
        spec=stored.SerializeToString(),
        closure=task_pb2.TaskClosure(compiled_task=compiled, created_at=_now()).SerializeToString(),
        digest=digest,
        type=template.type[:255],
        short_description=spec.description.short_description,
    )
    with transaction.atomic(savepoint=False):
        _insert(row, ResourceType.TASK, stored, actor=actor)
    return row


def _check_environment(template: tasks_pb2.TaskTemplate) -> None:
    check_environment(template.container.env, "container.env")
    if template.WhichOneof("target") == "k8s_pod":
        for entry in template.k8s_pod.pod_spec.fields["containers"].list_value.values:
            for item in entry.struct_value.fields["env"].list_value.values:
                variable = item.struct_value.fields
                name, value = variable["name"].string_value, variable["value"].string_value
                check_variable(name, value, "the pod's env")
                check_setting(name, value, "the pod's env")


def register_workflow(
    identifier: identifier_pb2.Identifier, spec: workflow_pb2.WorkflowSpec, *, actor: str
) -> Workflow:
    """A new workflow version, compiled; InvalidArgument lists everything that does not fit together.

    What its nodes refer to must be registered, and be readable for `actor` where it lies in another project or domain.
    """
    check_identifier(identifier, identifier_pb2.WORKFLOW)
    if not spec.HasField("template"):
        raise InvalidArgument("missing spec")
    stored = workflow_pb2.WorkflowSpec()
    stored.CopyFrom(spec)
    stored.template.id.CopyFrom(identifier)
    for template in (stored.template, *stored.sub_workflows):
        for node in template.nodes:
            node.upstream_node_ids.sort()  # flytekit writes a set: the same program would differ from run to run
    digest = _digest(workflow_pb2.WorkflowSpec(template=stored.template, sub_workflows=stored.sub_workflows))
    _check_new(Workflow, identifier, digest, stored)
    authority = _check_targets(stored.template.interface, identifier, actor)
    available = load(requirements_of([stored.template, *stored.sub_workflows]), authority)
    compiled = compile_closure(stored.template, stored.sub_workflows, available)
    authority.require(Action.READ, sorted(places_of(compiled)), what=", where a sub-workflow says it comes from")
    row = Workflow(
        **_columns(identifier),
        spec=stored.SerializeToString(),
        closure=workflow_pb2.WorkflowClosure(compiled_workflow=compiled, created_at=_now()).SerializeToString(),
        digest=digest,
        short_description=spec.description.short_description,
    )
    with transaction.atomic(savepoint=False):
        _insert(row, ResourceType.WORKFLOW, stored, actor=actor)
    return row


def register_launch_plan(
    identifier: identifier_pb2.Identifier, spec: launch_plan_pb2.LaunchPlanSpec, *, actor: str
) -> LaunchPlan:
    """A new, inactive launch plan version with its schedule and its trigger, if the spec has them.

    The workflow must be registered. Defaults and fixed inputs must name inputs of it and have their types. `actor` must
    be allowed to read what it refers to: NotFound for a workflow he may not read, as for one that does not exist,
    PermissionDenied for artifacts of other projects that it watches or asks for.
    """
    check_identifier(identifier, identifier_pb2.LAUNCH_PLAN)
    check_identifier(spec.workflow_id, identifier_pb2.WORKFLOW)
    authority = Authority(actor, home=(identifier.project, identifier.domain))
    workflow = _workflow_of(spec, authority)
    check_sources(spec, authority)
    check_declared(spec, identifier.project, identifier.domain)
    interface = _interface_of(workflow)
    expected = expected_inputs(interface.inputs, spec)
    stored = launch_plan_pb2.LaunchPlanSpec()
    stored.CopyFrom(spec)
    stored.default_inputs.CopyFrom(expected)  # as Flyte gives it back: required inputs included
    digest = _digest(stored)
    _check_new(LaunchPlan, identifier, digest, stored)
    check_labels(spec.labels)
    check_environment(spec.envs.values)
    schedule = schedule_of(spec.entity_metadata.schedule, expected)
    now = _now()
    closure = launch_plan_pb2.LaunchPlanClosure(
        expected_inputs=expected, expected_outputs=interface.outputs, created_at=now, updated_at=now
    )
    row = LaunchPlan(
        **_columns(identifier),
        spec=stored.SerializeToString(),
        closure=closure.SerializeToString(),
        digest=digest,
        workflow=workflow,
        state_changed_at=timezone.now(),
    )
    reacts = spec.entity_metadata.HasField("launch_conditions")  # which may be refused when the row is there
    with transaction.atomic(savepoint=reacts):
        _insert(row, ResourceType.LAUNCH_PLAN, stored, actor=actor)
        if schedule is not None:
            Schedule.objects.create(
                launch_plan=row,
                kind=schedule.kind,
                expression=schedule.expression,
                offset_seconds=schedule.offset_seconds,
                kickoff_input=spec.entity_metadata.schedule.kickoff_time_input_arg,
            )
        if reacts:
            attach(row)
    return row


def check_declared(spec: launch_plan_pb2.LaunchPlanSpec, project: str, domain: str) -> None:
    """InvalidArgument for a rule of approving, among its annotations, that nobody could fulfil."""
    for rule in declared(spec.annotations.values).values():
        check_fulfilled(rule, project=project, domain=domain)


def check_sources(spec: launch_plan_pb2.LaunchPlanSpec, authority: Authority) -> None:
    """PermissionDenied unless the principal may read, in other projects, what the launch plan watches and asks for.

    The authority's home is where the launch plan is registered. Asked again when it is activated, and at each launch.
    """
    if authority.home is None:
        raise ValueError("the place of the launch plan is needed")
    project, domain = authority.home
    authority.require(
        Action.READ, read_by_plan(spec, project=project, domain=domain), what=", which the launch plan refers to"
    )


def _check_targets(
    interface: interface_pb2.TypedInterface, identifier: identifier_pb2.Identifier, actor: str
) -> Authority:
    """PermissionDenied unless the actor may publish where the outputs go, in other projects. Asked again when they
    are published, of whoever launched that."""
    authority = Authority(actor, home=(identifier.project, identifier.domain))
    targets = written_by(interface.outputs, project=identifier.project, domain=identifier.domain)
    authority.require(Action.PUBLISH, targets, what=", where an output is published")
    return authority


def _workflow_of(spec: launch_plan_pb2.LaunchPlanSpec, authority: Authority) -> Workflow:
    wanted = spec.workflow_id
    rows = []
    if authority.reads(wanted.project, wanted.domain):
        key = [wanted.project, wanted.domain, wanted.name, wanted.version]
        rows = select(Workflow, _OF_KEY, key, without=("spec",), planned=True)
    if not rows:
        raise NotFound(f"workflow {spell(wanted)} is not registered")
    return rows[0]


_OF_KEY = "project = %s::text AND domain = %s::text AND name = %s::text AND version = %s::text"


def _interface_of(workflow: Workflow) -> interface_pb2.TypedInterface:
    closure = workflow_pb2.WorkflowClosure.FromString(bytes(workflow.closure))
    return closure.compiled_workflow.primary.template.interface


def _check_variables(interface: interface_pb2.TypedInterface) -> None:
    for what, variables in (("input", interface.inputs), ("output", interface.outputs)):
        for name, variable in variables.variables.items():
            if variable.type.WhichOneof("type") is None:
                raise InvalidArgument(f'{what} "{name}" has no type')


def _now() -> timestamp_pb2.Timestamp:
    now = timestamp_pb2.Timestamp()
    now.GetCurrentTime()
    return now


def _digest(message: Message) -> bytes:
    return hashlib.sha256(message.SerializeToString(deterministic=True)).digest()


def _columns(identifier: identifier_pb2.Identifier) -> dict[str, str]:
    return {
        "project": identifier.project,
        "domain": identifier.domain,
        "name": identifier.name,
        "version": identifier.version,
    }


_WORDS = {Task: "task", Workflow: "workflow", LaunchPlan: "launch plan"}


# Written by hand, as what each of hundreds of registrations asks: building the queries took longer than answering them.
_STANDING = """
    SELECT (SELECT state FROM scheduler_project WHERE identifier = %s::text), EXISTS (
        SELECT FROM {table} WHERE project = %s::text AND domain = %s::text AND name = %s::text AND version = %s::text
    )
"""


def _check_new(model: type[Row], identifier: identifier_pb2.Identifier, digest: bytes, spec: Message) -> None:
    """That it may be registered, and is not yet. One statement; AlreadyExists and InvalidArgument."""
    key: list[str] = [identifier.project, identifier.domain, identifier.name, identifier.version]
    with prepared() as cursor:
        cursor.execute(_STANDING.format(table=model._meta.db_table), [identifier.project, *key])
        state, exists = cursor.fetchone()
    if exists:
        _refuse_existing(model, identifier, digest, spec)
    check_project_state(identifier.project, identifier.domain, state)


def _refuse_existing(model: type[Row], identifier: identifier_pb2.Identifier, digest: bytes, spec: Message) -> None:
    existing: RegisteredVersion | None = model._default_manager.filter(**_columns(identifier)).first()
    if existing is None:
        return
    what = _WORDS[model]
    if bytes(existing.digest) == digest:
        raise AlreadyExists(f"{what} with identical structure already exists")
    old = type(spec).FromString(bytes(existing.spec))
    raise InvalidArgument(
        f"{identifier.name} {what} with different structure already exists. "
        f"(Please register a new version of the {what}):\n{describe_differences(old, spec)}"
    )


def _insert(row: Row, resource_type: ResourceType, spec: Message, *, actor: str) -> None:
    """The version, its name and who registered it. Of two at the same time the second gets AlreadyExists."""
    row.created_at = timezone.now()
    insert_rows([row], unless_there=True)
    if row.pk is None:
        identifier = identifier_pb2.Identifier(
            project=row.project, domain=row.domain, name=row.name, version=row.version
        )
        _refuse_existing(type(row), identifier, bytes(row.digest), spec)
        raise AlreadyExists(f"{_WORDS[type(row)]} {row} was registered and removed this very moment")
    name = NamedEntity(resource_type=resource_type, project=row.project, domain=row.domain, name=row.name)
    name.created_at = row.created_at
    insert_rows([name], unless_there=True)
    verb = f"{_WORDS[type(row)].replace(' ', '_')}.register"
    record(actor, verb, row)
