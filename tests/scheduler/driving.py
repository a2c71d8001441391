"""Runs executions in a test without processes: compiled from real flytekit code, tasks answered by Python functions."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from django.utils import timezone as django_timezone
from flyteidl.admin import execution_pb2 as admin_execution
from flyteidl.admin import task_pb2, workflow_pb2
from flyteidl.core import compiler_pb2, execution_pb2, identifier_pb2, interface_pb2, literals_pb2, types_pb2

from artifacts.literals import from_json, to_json
from artifacts.store import store
from scheduler.advance import advance
from scheduler.attempts.claims import claim
from scheduler.attempts.observations import Ended, Running
from scheduler.attempts.outcomes import Outcome
from scheduler.attempts.reports import report_ends, report_running
from scheduler.attempts.resources import Resources
from scheduler.authority import Authority
from scheduler.compiler.lookup import load
from scheduler.compiler.requirements import Available, Requirements, key_of
from scheduler.compiler.workflow import compile_closure
from scheduler.executors.packing import MachinePacking
from scheduler.models import Execution, NodeExecution, TaskExecution, Workflow
from scheduler.phases import EXECUTION_TERMINAL, AttemptPhase
from scheduler.shell import data
from tests.flyte import specs_of

ROOM = Resources.parse({"cpu": 1000.0, "memory": 2**50})
_names = itertools.count()


class TaskFailed(Exception):
    """What a test's task raises to fail its attempt."""

    def __init__(self, message: str = "boom", *, retryable: bool = False, system: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.system = system


def settings_of() -> Any:
    from flytekit.configuration import Image, ImageConfig, SerializationSettings

    image = Image(name="default", fqn="localhost/causeway", tag="test")
    config = ImageConfig(default_image=image, images=[image])
    return SerializationSettings(project="demo", domain="development", version="v1", image_config=config)


def compiled(entity: object, plans: Sequence[object] = ()) -> compiler_pb2.CompiledWorkflowClosure:
    """`plans`: launch plans that the workflow uses; they have to be registered."""
    specs = specs_of(entity)
    needed = {key_of(i) for plan in plans for i, _ in specs_of(plan) if i.resource_type == identifier_pb2.LAUNCH_PLAN}
    tasks = {key_of(i): spec.template for i, spec in specs if isinstance(spec, task_pb2.TaskSpec)}
    workflows = [spec for _, spec in specs if isinstance(spec, workflow_pb2.WorkflowSpec)]
    primary = workflows[-1]
    others = {key_of(spec.template.id): spec.template for spec in workflows[:-1]}
    registered = load(Requirements(set(), needed, set()), Authority("tester"))
    available = Available(tasks=tasks, launch_plans=registered.launch_plans, workflows=others)
    return compile_closure(primary.template, primary.sub_workflows, available)


def workflow_of(entity: object, plans: Sequence[object] = ()) -> Workflow:
    closure = compiled(entity, plans)
    return store_workflow(closure)


def store_workflow(closure: compiler_pb2.CompiledWorkflowClosure) -> Workflow:
    identifier = closure.primary.template.id
    admin_closure = workflow_pb2.WorkflowClosure(compiled_workflow=closure)
    return Workflow.objects.create(
        project=identifier.project,
        domain=identifier.domain,
        name=identifier.name,
        version=f"{identifier.version}-{next(_names)}",
        spec=b"",
        closure=admin_closure.SerializeToString(),
        digest=b"",
    )


def start(workflow: Workflow, inputs: Mapping[str, Any] | None = None, **spec: Any) -> Execution:
    """An execution as launching leaves it: inputs written, nothing evaluated."""
    closure = workflow_pb2.WorkflowClosure.FromString(bytes(workflow.closure)).compiled_workflow
    variables = closure.primary.template.interface.inputs.variables
    values = literals_pb2.LiteralMap(
        literals={name: from_json(value, variables[name].type, name=name) for name, value in (inputs or {}).items()}
    )
    name = f"e{next(_names)}x{workflow.pk}"
    uri = f"{store().root}/metadata/demo/development/{name}/inputs.pb"
    data.write(uri, values)
    now = django_timezone.now()
    return Execution.objects.create(
        project="demo",
        domain="development",
        name=name,
        workflow=workflow,
        spec=admin_execution.ExecutionSpec(**spec).SerializeToString(),
        inputs_uri=uri,
        created_at=now,
        updated_at=now,
    )


@dataclass
class Futures:
    """The answer of a dynamic task: a serialised DynamicJobSpec."""

    spec: bytes


def futures(dynamic_task: Any, **inputs: Any) -> Futures:
    """What the real dynamic task returns at run time."""
    from flytekit.core.context_manager import ExecutionState, FlyteContextManager

    context = FlyteContextManager.current_context()
    state = context.execution_state or ExecutionState()
    builder = context.with_execution_state(state.with_params(mode=ExecutionState.Mode.TASK_EXECUTION))
    builder = builder.with_serialization_settings(settings_of())
    dynamic_task._wf = None  # flytekit compiles once a process; every attempt has one of its own
    with FlyteContextManager.with_context(builder) as inside:
        spec = dynamic_task.compile_into_workflow(inside, dynamic_task._task_function, **inputs)
    return Futures(spec.to_flyte_idl().SerializeToString())


Answer = Callable[..., Any]


@dataclass
class Driver:
    """Answers queued attempts: `answers` by the last part of a task's name; a list answers attempt after attempt."""

    answers: Mapping[str, Answer] = field(default_factory=dict)
    ran: list[tuple[str, int]] = field(default_factory=list)  # (node id, attempt)

    def run(self, execution: Execution, *, rounds: int = 200) -> Execution:
        """Advance and answer until the execution ends, or nothing moves any more."""
        for _ in range(rounds):
            advance(execution.pk)
            execution.refresh_from_db()
            if execution.phase in EXECUTION_TERMINAL or not self.answer_all():
                break
        return execution

    def answer_all(self, limit: int | None = None) -> int:
        now = datetime.now(timezone.utc)
        taken = claim("local", "test", MachinePacking(ROOM, ROOM, now=now), now=now).rows[:limit]
        report_running([Running(row.pk, "1:1", now) for row in taken], actor="test")
        report_ends([Ended(row.pk, self.answer(row), now) for row in taken], actor="test")
        return len(taken)

    def answer(self, row: TaskExecution) -> Outcome:
        node = NodeExecution.objects.get(pk=row.node_id)
        self.ran.append((node.node_id, row.attempt))
        name = row.command["env"]["FLYTE_INTERNAL_TASK_NAME"].rpartition(".")[2]
        name = next((known for known in self.answers if name.startswith(f"map_{known}_")), name)
        uri = f"{row.command['output_prefix']}/outputs.pb"
        template = task_template(row)
        inputs = dict(data.read(row.command["inputs_uri"]).literals)
        if row.index >= 0:  # flytekit picks its item by itself
            position = row.index + int(row.command["env"].get("BATCH_JOB_ARRAY_INDEX_OFFSET", 0))
            inputs = {
                key: value.collection.literals[position] if value.HasField("collection") else value
                for key, value in inputs.items()
            }
        types = template.inputs.variables
        try:
            values = {key: to_json(value, types[key].type) for key, value in inputs.items()}
            result = self.answers[name](**values) if name in self.answers else None
        except TaskFailed as error:
            kinds = execution_pb2.ExecutionError
            kind = kinds.SYSTEM if error.system else kinds.USER
            failure = kinds(code="TaskFailed", message=str(error), kind=kind)
            return Outcome(AttemptPhase.FAILED, error=failure.SerializeToString(), retryable=error.retryable)
        if isinstance(result, Futures):
            uri = f"{row.command['output_prefix']}/futures.pb"
            store().put(uri, result.spec)
            return Outcome(AttemptPhase.SUCCEEDED, output_uri=uri)
        outputs = outputs_of(template, result)
        data.write(uri, outputs)
        return Outcome(AttemptPhase.SUCCEEDED, output_uri=uri)


def task_template(row: TaskExecution) -> interface_pb2.TypedInterface:
    from scheduler import graphs
    from scheduler.engine.graph import NodeSpec
    from scheduler.shell.rows import Rows

    execution = Execution.objects.get(pk=row.execution_id)
    rows = Rows(execution, graphs.workflow_scope(execution.workflow_id))
    rows.load_pks([row.node_id])
    spec: NodeSpec = rows[rows.key_of(row.node_id)].spec
    spec = spec.array.node if spec.array is not None else spec
    assert isinstance(spec.target, graphs.Target) and spec.target.task is not None
    interface = spec.target.task.interface
    return item_interface(interface) if row.index >= 0 else interface


def item_interface(lists: interface_pb2.TypedInterface) -> interface_pb2.TypedInterface:
    """flytekit describes a map task by lists; one item of it takes and gives what is in them."""
    items = interface_pb2.TypedInterface()
    items.CopyFrom(lists)
    for variables in (items.inputs.variables, items.outputs.variables):
        for variable in variables.values():
            if variable.type.HasField("collection_type"):
                inner = types_pb2.LiteralType()
                inner.CopyFrom(variable.type.collection_type)
                variable.type.CopyFrom(inner)
    return items


def outputs_of(interface: interface_pb2.TypedInterface, result: Any) -> literals_pb2.LiteralMap:
    variables = interface.outputs.variables
    names = sorted(variables)
    results = result if isinstance(result, tuple) else (result,)
    if not names:
        return literals_pb2.LiteralMap()
    return literals_pb2.LiteralMap(
        literals={
            name: from_json(value, variables[name].type, name=name) for name, value in zip(names, results, strict=True)
        }
    )


def outputs(execution: Execution) -> dict[str, Any]:
    execution.refresh_from_db()
    values = data.read(execution.outputs_uri)
    return {name: to_json(literal) for name, literal in values.literals.items()}


def phases(execution: Execution) -> dict[str, int]:
    return dict(NodeExecution.objects.filter(execution=execution).values_list("node_id", "phase"))


def error_of(execution: Execution) -> execution_pb2.ExecutionError:
    execution.refresh_from_db()
    return execution_pb2.ExecutionError.FromString(bytes(execution.error or b""))
