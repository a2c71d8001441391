"""NUL, names of any length and odd environments: INVALID_ARGUMENT at every method, and nothing is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import grpc
import pytest
from flyteidl.admin import (
    common_pb2,
    execution_pb2,
    launch_plan_pb2,
    matchable_resource_pb2,
    project_attributes_pb2,
    project_pb2,
    signal_pb2,
    task_pb2,
    workflow_attributes_pb2,
)
from flyteidl.core import identifier_pb2, literals_pb2, types_pb2
from flyteidl.service import admin_pb2, dataproxy_pb2, identity_pb2
from flyteidl.service import signal_pb2 as signal_service_pb2
from flytekit import task, wait_for_input, workflow
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from artifacts.exceptions import InvalidArgument
from artifacts.literals import from_json
from console.rpc.texts import check_texts
from scheduler.models import Execution, LaunchPlan, MatchableAttributes, Project, Task
from tests.flyte import register_all, specs_of

ADMIN = admin_pb2.DESCRIPTOR.services_by_name["AdminService"]
SIGNALS = signal_service_pb2.DESCRIPTOR.services_by_name["SignalService"]
DATA_PROXY = dataproxy_pb2.DESCRIPTOR.services_by_name["DataProxyService"]
IDENTITY = identity_pb2.DESCRIPTOR.services_by_name["IdentityService"]
METHODS = [method for service in (ADMIN, SIGNALS, DATA_PROXY, IDENTITY) for method in service.methods]
Call = Callable[..., Message]
VALUES = ("flyteidl.core.Literal", "flyteidl.core.Primitive", "google.protobuf.Struct")


def with_one_text(kind: Descriptor, text: str, depth: int = 5) -> Iterator[tuple[str, Message]]:
    """A message for each place that a text can have in messages of this type."""
    for field in kind.fields:
        message = GetMessageClass(kind)()
        if field.type == FieldDescriptor.TYPE_STRING:
            if field.is_repeated:
                getattr(message, field.name).append(text)
            else:
                setattr(message, field.name, text)
            yield field.name, message
        elif field.message_type is not None and depth and field.message_type.full_name not in VALUES:
            for path, inner in with_one_text(field.message_type, text, depth - 1):
                yield f"{field.name}.{path}", _holding(kind, field, inner)


def _holding(kind: Descriptor, field: FieldDescriptor, inner: Message) -> Message:
    message = GetMessageClass(kind)()
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        entries = getattr(message, field.name)
        value = inner.value  # type: ignore[attr-defined]
        if isinstance(value, Message):
            entries[inner.key].CopyFrom(value)  # type: ignore[attr-defined]
        else:
            entries[inner.key] = value  # type: ignore[attr-defined]
    elif field.is_repeated:
        getattr(message, field.name).append(inner)
    else:
        getattr(message, field.name).CopyFrom(inner)
    return message


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_nul_is_seen_wherever_a_request_has_it(method: object) -> None:
    seen = 0
    for path, message in with_one_text(method.input_type, "a\0b", depth=3):  # type: ignore[attr-defined]
        with pytest.raises(InvalidArgument, match="holds a NUL character"):
            check_texts(message)
        seen += 1
        assert path
    assert seen or not method.input_type.fields  # type: ignore[attr-defined]


def test_every_method_answers_a_nul_with_invalid_argument(call: Call) -> None:
    for service in (ADMIN, SIGNALS, DATA_PROXY):
        for method in service.methods:
            found = next(iter(with_one_text(method.input_type, "a\0b")), None)
            if found is None:
                continue
            with pytest.raises(grpc.RpcError) as error:
                call(service, method.name, found[1])
            assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT, method.full_name
            assert "NUL" in str(error.value.details()), method.full_name


LONG = "x" * 501


def _long(kind: Descriptor) -> Iterator[Message]:
    for path, message in with_one_text(kind, LONG, depth=2):
        if path.rpartition(".")[2] in ("project", "domain", "name", "workflow", "node_id", "signal_id"):
            yield message


def test_no_method_breaks_on_a_long_name(call: Call) -> None:
    for service in (ADMIN, SIGNALS, DATA_PROXY):
        for method in service.methods:
            for message in _long(method.input_type):
                with pytest.raises(grpc.RpcError) as error:
                    call(service, method.name, message)
                assert error.value.code() in (
                    grpc.StatusCode.INVALID_ARGUMENT,
                    grpc.StatusCode.UNIMPLEMENTED,
                ), method.full_name


def test_a_value_may_be_any_text() -> None:
    inputs = literals_pb2.LiteralMap(
        literals={"x": from_json("a\0b", types_pb2.LiteralType(simple=types_pb2.STRING), name="x")}
    )
    check_texts(execution_pb2.ExecutionCreateRequest(project="demo", inputs=inputs))


def test_a_workflow_of_a_long_name_has_no_attributes(call: Call) -> None:
    attributes = matchable_resource_pb2.MatchingAttributes()
    attributes.workflow_execution_config.max_parallelism = 1
    place = workflow_attributes_pb2.WorkflowAttributes(
        project="demo", domain="development", workflow="w" * 300, matching_attributes=attributes
    )
    request = workflow_attributes_pb2.WorkflowAttributesUpdateRequest(attributes=place)
    with pytest.raises(grpc.RpcError) as error:
        call(ADMIN, "UpdateWorkflowAttributes", request)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "cannot exceed 255 characters" in str(error.value.details())


def test_what_only_the_database_refuses_is_the_request_s_fault(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from console.rpc import texts

    monkeypatch.setattr(texts, "_LONGEST", {})
    request = project_pb2.ProjectRegisterRequest(project=project_pb2.Project(id="demo"))
    monkeypatch.setattr("console.rpc.projects.create_project", _too_long)
    with pytest.raises(grpc.RpcError) as error:
        call(ADMIN, "RegisterProject", request)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "varchar" not in str(error.value.details())


def _too_long(**_: object) -> None:
    Project.objects.create(identifier="x" * 300, name="x")


def test_upload_names_are_as_long_as_a_file_system_takes_them(call: Call) -> None:
    for name, root in (("f" * 300, "r"), ("f", "r" * 300), ("é" * 200, "r"), ("f", "/".join(["r" * 200] * 4))):
        request = dataproxy_pb2.CreateUploadLocationRequest(
            project="demo", domain="development", filename=name, filename_root=root
        )
        with pytest.raises(grpc.RpcError) as error:
            call(DATA_PROXY, "CreateUploadLocation", request)
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "too long" in str(error.value.details())


@pytest.mark.parametrize(
    "filters",
    [
        "lt(created_at,0001-01-01T00:00:00+23:59)",
        "gt(created_at,9999-12-31T23:59:59-23:59)",
        f"gt(duration,{'9' * 400}h)",
        "gt(duration,1e400)",
    ],
    ids=lambda text: str(text)[:30],
)
def test_filters_at_the_edges_are_refused(call: Call, filters: str) -> None:
    place = common_pb2.NamedEntityIdentifier(project="demo", domain="development")
    request = common_pb2.ResourceListRequest(id=place, limit=10, filters=filters)
    with pytest.raises(grpc.RpcError) as error:
        call(ADMIN, "ListExecutions", request)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT, error.value.details()


# Environments


@task
def work(n: int = 1) -> int:
    return n


@workflow
def asks() -> str:
    return wait_for_input("s" * 300, timeout=timedelta(hours=1), expected_type=str)


ODD = [("", "x"), ("A=B", "x"), ("A\0B", "x"), ("A", "x\0y"), ("A", "x" * 131_072)]


@pytest.mark.parametrize(("name", "value"), ODD, ids=lambda each: repr(each)[:12])
def test_an_environment_that_no_process_can_have_is_refused(call: Call, name: str, value: str) -> None:
    (task_id, spec), *_ = specs_of(work)
    register_all(work)
    pair = literals_pb2.KeyValuePair(key=name, value=value)
    execution = execution_pb2.ExecutionSpec(launch_plan=task_id, envs=common_pb2.Envs(values=[pair]))
    launch = execution_pb2.ExecutionCreateRequest(
        project="demo", domain="development", name="odd", spec=execution, inputs=literals_pb2.LiteralMap()
    )
    assert isinstance(spec, task_pb2.TaskSpec)
    spec.template.container.env.append(literals_pb2.KeyValuePair(key=name, value=value))
    other = identifier_pb2.Identifier(
        resource_type=identifier_pb2.TASK, project="demo", domain="development", name="odd", version="v1"
    )
    attributes = matchable_resource_pb2.MatchingAttributes()
    attributes.workflow_execution_config.envs.values.append(pair)
    place = project_attributes_pb2.ProjectAttributes(project="demo", matching_attributes=attributes)
    requests: list[tuple[str, Message]] = [
        ("CreateExecution", launch),
        ("CreateTask", task_pb2.TaskCreateRequest(id=other, spec=spec)),
        ("UpdateProjectAttributes", project_attributes_pb2.ProjectAttributesUpdateRequest(attributes=place)),
        ("CreateLaunchPlan", _launch_plan(pair)),
    ]
    for method, request in requests:
        with pytest.raises(grpc.RpcError) as error:
            call(ADMIN, method, request)
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT, (method, error.value.details())
    assert not Execution.objects.exists() and not MatchableAttributes.objects.exists()
    assert not Task.objects.filter(name="odd").exists() and not LaunchPlan.objects.filter(name="odd").exists()


@workflow
def flow(n: int = 1) -> int:
    return work(n=n)


def _launch_plan(pair: literals_pb2.KeyValuePair) -> launch_plan_pb2.LaunchPlanCreateRequest:
    register_all(flow)
    (spec,) = (each for _, each in specs_of(flow) if isinstance(each, launch_plan_pb2.LaunchPlanSpec))
    spec.envs.values.append(pair)
    named = identifier_pb2.Identifier(
        resource_type=identifier_pb2.LAUNCH_PLAN, project="demo", domain="development", name="odd", version="v1"
    )
    return launch_plan_pb2.LaunchPlanCreateRequest(id=named, spec=spec)


def test_a_signal_of_a_long_name_is_refused_when_it_is_registered_and_when_it_is_declared(
    call: Call,
) -> None:
    with pytest.raises(InvalidArgument, match="cannot exceed 255 characters"):
        register_all(asks)
    run = identifier_pb2.WorkflowExecutionIdentifier(project="demo", domain="development", name="x")
    request = signal_pb2.SignalGetOrCreateRequest(
        id=identifier_pb2.SignalIdentifier(signal_id="s" * 300, execution_id=run),
        type=types_pb2.LiteralType(simple=types_pb2.STRING),
    )
    with pytest.raises(grpc.RpcError) as error:
        call(SIGNALS, "GetOrCreateSignal", request)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_declaring_a_signal_is_a_write(call: Call, token_of: Callable[..., str]) -> None:
    """Its name begins as those of readers do; a refusal is noted as a writer's."""
    from audit.models import AuditEvent

    run = identifier_pb2.WorkflowExecutionIdentifier(project="demo", domain="development", name="x")
    request = signal_pb2.SignalGetOrCreateRequest(
        id=identifier_pb2.SignalIdentifier(signal_id="s", execution_id=run),
        type=types_pb2.LiteralType(simple=types_pb2.STRING),
    )
    with pytest.raises(grpc.RpcError):
        call(SIGNALS, "GetOrCreateSignal", request, token=token_of("vera", "viewer"))
    assert AuditEvent.objects.filter(actor="vera", verb__startswith="refused").exists()
