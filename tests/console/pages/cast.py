"""A small world in the database: people, artifacts with versions and cards, executions, gates, firings."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from flyteidl.admin import execution_pb2 as admin_execution_pb2
from flyteidl.core import execution_pb2, identifier_pb2, literals_pb2, types_pb2

from artifacts.literals import carry
from artifacts.models import Alias, Artifact, ArtifactVersion, CardFormat, Kind
from artifacts.partition_values import digest_of
from artifacts.store import store
from console.accounts.models import Role, RoleBinding, User
from lineage.actions.record import record_derivations
from lineage.models import VersionEdge, VersionRole, Via
from scheduler.models import (
    Execution,
    ExecutionMode,
    FiringOutcome,
    Gate,
    GateKind,
    LaunchPlan,
    NodeExecution,
    NodeKind,
    PhaseEvent,
    TaskExecution,
    Trigger,
    TriggerFiring,
    Workflow,
)
from scheduler.phases import EXECUTION_TERMINAL, AttemptPhase, ExecutionPhase, NodePhase
from tests.console.pages import program
from tests.flyte import register_module

PROJECT, DOMAIN = "demo", "development"
CARD = "# Model card\n\n| metric | value |\n| --- | --- |\n| accuracy | 0.9737 |\n\nTrained on *breast cancer*."
TRACEBACK = (
    "Traceback (most recent call last):\n\n"
    '  File "train.py", line 12, in train\n    raise ValueError("depth must be positive")\n\n'
    "ValueError: depth must be positive"
)
DECK = "<html><body><h1>Evaluation</h1><script>document.body.append('drawn')</script></body></html>"


@dataclass
class World:
    admin: User
    viewer: User
    outsider: User
    now: datetime
    dataset: ArtifactVersion
    model: ArtifactVersion
    makes: Execution
    trains: Execution
    evaluates: Execution
    failed: Execution
    gate: Gate
    attempt: TaskExecution
    executions: list[Execution] = field(default_factory=list)


def text(value: str) -> literals_pb2.Literal:
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(string_value=value)))


def blob(uri: str, version: ArtifactVersion | None = None) -> literals_pb2.Literal:
    data = literals_pb2.Blob(uri=uri, metadata=literals_pb2.BlobMetadata(type=BLOB.blob))
    literal = literals_pb2.Literal(scalar=literals_pb2.Scalar(blob=data))
    return literal if version is None else carry(literal, version.pk)


BLOB = types_pb2.LiteralType(blob=types_pb2.BlobType(dimensionality=types_pb2.BlobType.SINGLE))
BOOLEAN = types_pb2.LiteralType(simple=types_pb2.BOOLEAN)


def user(name: str, *, role: str = "", project: str = PROJECT, superuser: bool = False) -> User:
    person = User.objects.create_user(name, password=f"{name}-password", is_superuser=superuser, is_staff=superuser)
    if role:
        RoleBinding.objects.create(user=person, project=project, role=role)
    return person


def make_version(name: str, kind: Kind, *, number: int = 0, **over: Any) -> ArtifactVersion:
    """A published version with an object in the store."""
    project = over.pop("project", PROJECT)
    partitions = over.pop("partitions", {"region": "SEA"})
    artifact, _ = Artifact.objects.get_or_create(
        project=project,
        domain=DOMAIN,
        name=name,
        defaults={"kind": kind, "partition_keys": sorted(partitions), "description": f"The {name} everybody uses."},
    )
    uri = store().join(store().root, "raw", project, f"{name}-{number}.bin")
    store().put(uri, b"x" * 2048)
    values: dict[str, Any] = {
        "artifact": artifact,
        "version": f"e{number}.n0.0.o0",
        "kind": kind,
        "literal": blob(uri).SerializeToString(),
        "literal_type": BLOB.SerializeToString(),
        "uri": uri,
        "size_bytes": 2048,
        "content_hash": "sha256:" + "ab" * 32,
        "partitions": partitions,
        "partition_digest": digest_of(partitions),
        "producer": f"task:tests.console.pages.program.{'clean' if kind == Kind.DATASET else 'train'}@v1",
        "created_by": "admin",
        "created_at": timezone.now() - timedelta(minutes=number + 1),
        "output": "o0",
        "node_id": "n0",
        "attempt": 0,
    }
    return ArtifactVersion.objects.create(**(values | over))


def make_execution(name: str, plan_name: str, phase: ExecutionPhase, *, age: timedelta, **over: Any) -> Execution:
    plan = LaunchPlan.objects.filter(name=plan_name).select_related("workflow").get()
    created = timezone.now() - age
    ended = created + timedelta(seconds=42) if phase in EXECUTION_TERMINAL else None
    values: dict[str, Any] = {
        "project": PROJECT,
        "domain": DOMAIN,
        "name": name,
        "launch_plan": plan,
        "workflow": plan.workflow,
        "spec": admin_execution_pb2.ExecutionSpec(launch_plan=_identifier(plan)).SerializeToString(),
        "phase": phase,
        "principal": "admin",
        "created_at": created,
        "started_at": created,
        "updated_at": ended or created,
        "ended_at": ended,
        "dirty": False,
    }
    return Execution.objects.create(**(values | over))


def _identifier(plan: LaunchPlan) -> identifier_pb2.Identifier:
    return identifier_pb2.Identifier(
        resource_type=identifier_pb2.LAUNCH_PLAN,
        project=plan.project,
        domain=plan.domain,
        name=plan.name,
        version=plan.version,
    )


def make_node(execution: Execution, node_id: str, phase: NodePhase, **over: Any) -> NodeExecution:
    start = execution.started_at or execution.created_at
    values: dict[str, Any] = {
        "execution": execution,
        "node_id": node_id,
        "spec_node_id": node_id,
        "kind": NodeKind.TASK,
        "phase": phase,
        "attempts": 1,
        "created_at": start,
        "started_at": start + timedelta(seconds=2),
        "updated_at": start,
        "ended_at": execution.ended_at,
    }
    return NodeExecution.objects.create(**(values | over))


def make_attempt(node: NodeExecution, phase: AttemptPhase, **over: Any) -> TaskExecution:
    values: dict[str, Any] = {
        "node": node,
        "execution_id": node.execution_id,
        "name": f"{node.execution.name}-{node.node_id}-{over.get('attempt', 0)}",
        "phase": phase,
        "created_at": node.created_at,
        "started_at": node.started_at,
        "updated_at": node.created_at,
        "ended_at": node.ended_at,
    }
    return TaskExecution.objects.create(**(values | over))


def edge(version: ArtifactVersion, execution: Execution, role: VersionRole, via: Via, variable: str = "o0") -> None:
    VersionEdge.objects.create(
        version=version, execution_key=execution.key, role=role, via=via, variable=variable, at=execution.created_at
    )
    edges = VersionEdge.objects.filter(execution_key=execution.key)
    ends = [edges.filter(role=one).values_list("version_id", flat=True) for one in VersionRole]
    record_derivations((source, target) for target in ends[0] for source in ends[1])


def put_literals(execution: Execution, which: str, **literals: literals_pb2.Literal) -> str:
    uri = store().join(store().root, "metadata", execution.key, f"{which}.pb")
    store().put(uri, literals_pb2.LiteralMap(literals=literals).SerializeToString())
    return uri


def make_world() -> World:
    register_module(program, project=PROJECT, domain=DOMAIN)
    admin = user("admin", superuser=True)
    viewer = user("viewer", role=Role.VIEWER)
    outsider = user("outsider", role=Role.ADMIN, project="elsewhere")
    now = timezone.now()

    makes = make_execution("amakes", _named("make_dataset"), ExecutionPhase.SUCCEEDED, age=timedelta(minutes=20))
    trains = make_execution(
        "atrains", "train_on_dataset", ExecutionPhase.SUCCEEDED, age=timedelta(minutes=15), mode=ExecutionMode.TRIGGER
    )
    evaluates = make_execution(
        "aevaluates", _named("evaluate_model"), ExecutionPhase.RUNNING, age=timedelta(minutes=10)
    )
    failed = make_execution(
        "afailed", "train_on_dataset", ExecutionPhase.FAILED, age=timedelta(minutes=5), error=_error()
    )
    dataset = make_version("ml-dataset", Kind.DATASET, number=9, execution_key=makes.key)
    model = make_version(
        "ml-model",
        Kind.MODEL,
        number=5,
        execution_key=trains.key,
        card=CARD,
        card_format=CardFormat.MARKDOWN,
        metrics={"accuracy": 0.9737, "rows": 569},
        metadata={"framework": "scikit-learn"},
    )
    make_version("ml-dataset", Kind.DATASET, number=30, partitions={"region": "LAX"})
    Alias.objects.create(artifact=model.artifact, name="champion", version=model, moved_at=now)
    _lineage(dataset, model, makes, trains, evaluates)
    attempt = _nodes(makes, trains, failed)
    gate = _gate(evaluates, model)
    _firing(dataset, trains)
    return World(admin, viewer, outsider, now, dataset, model, makes, trains, evaluates, failed, gate, attempt)


def _named(workflow: str) -> str:
    return Workflow.objects.get(name__endswith=f".{workflow}").name


def _error() -> bytes:
    kind = execution_pb2.ExecutionError.USER
    return execution_pb2.ExecutionError(code="USER:ValueError", message=TRACEBACK, kind=kind).SerializeToString()


def _lineage(dataset: ArtifactVersion, model: ArtifactVersion, *runs: Execution) -> None:
    makes, trains, evaluates = runs
    edge(dataset, makes, VersionRole.PRODUCED, Via.OUTPUT)
    edge(dataset, trains, VersionRole.CONSUMED, Via.TRIGGER, "dataset")
    edge(model, trains, VersionRole.PRODUCED, Via.OUTPUT)
    edge(model, evaluates, VersionRole.CONSUMED, Via.QUERY, "model")
    trains.inputs_uri = put_literals(trains, "inputs", region=text("SEA"), dataset=blob(dataset.uri, dataset))
    trains.outputs_uri = put_literals(trains, "outputs", o0=blob(model.uri, model))
    trains.save()


def _nodes(makes: Execution, trains: Execution, failed: Execution) -> TaskExecution:
    make_attempt(make_node(makes, "n0", NodePhase.SUCCEEDED), AttemptPhase.SUCCEEDED)
    node = make_node(trains, "n0", NodePhase.SUCCEEDED, attempts=2)
    log_uri = store().join(store().root, "logs", trains.key, "n0", "1.log")
    store().put(log_uri, b"epoch 1\nepoch 2 <done>\n")
    make_attempt(node, AttemptPhase.RETRYABLE_FAILED, error=_error())
    attempt = make_attempt(node, AttemptPhase.SUCCEEDED, attempt=1, log_uri=log_uri)
    broken = make_node(failed, "n0", NodePhase.FAILED, error=_error())
    make_attempt(broken, AttemptPhase.FAILED, error=_error())
    for phase in (ExecutionPhase.RUNNING, ExecutionPhase.SUCCEEDED):
        PhaseEvent.objects.create(
            execution_id=trains.pk,
            machine="execution",
            object_id=trains.pk,
            from_phase=0,
            to_phase=phase,
            at=trains.created_at,
            reason="all nodes ended",
            actor="engine",
        )
    return attempt


def _gate(evaluates: Execution, model: ArtifactVersion) -> Gate:
    deck_uri = store().join(store().root, "metadata", evaluates.key, "n0", "deck.html")
    store().put(deck_uri, DECK.encode())
    evaluates.inputs_uri = put_literals(evaluates, "inputs", model=blob(model.uri, model))
    evaluates.save()
    ended = evaluates.created_at + timedelta(minutes=1)
    make_node(evaluates, "n0", NodePhase.SUCCEEDED, ended_at=ended, deck_uri=deck_uri)
    node = make_node(evaluates, "n1", NodePhase.RUNNING, kind=NodeKind.GATE, started_at=ended, attempts=0)
    return Gate.objects.create(
        execution=evaluates,
        node=node,
        signal_id="approve_model",
        kind=GateKind.APPROVE,
        literal_type=BOOLEAN.SerializeToString(),
        waiting_since=ended,
        expires_at=ended + timedelta(hours=24),
        created_at=ended,
    )


def _firing(dataset: ArtifactVersion, trains: Execution) -> None:
    assert trains.launch_plan is not None
    plan = trains.launch_plan
    LaunchPlan.objects.filter(pk=plan.pk).update(state=LaunchPlan.State.ACTIVE)
    trigger = Trigger.objects.get(launch_plan=plan)
    Trigger.objects.filter(pk=trigger.pk).update(active=True)
    TriggerFiring.objects.create(
        trigger=trigger,
        version=dataset,
        outcome=FiringOutcome.FIRED,
        execution=trains,
        published_at=dataset.created_at,
        at=dataset.created_at,
        latency_ms=12.5,
    )
