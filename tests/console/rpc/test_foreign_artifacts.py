"""Reaching into another project's artifacts needs a role there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import grpc
import pytest
from causeway import OnArtifact
from flyteidl.admin import launch_plan_pb2, task_pb2, workflow_pb2
from flyteidl.core import identifier_pb2
from flyteidl.service import admin_pb2
from flytekit import Artifact, LaunchPlan, task, workflow
from google.protobuf.message import Message

from console.accounts.models import RoleBinding, User
from scheduler.models import Project
from tests.console.rpc.conftest import Call
from tests.flyte import specs_of

ADMIN = admin_pb2.DESCRIPTOR.services_by_name["AdminService"]
FOREIGN = Artifact(project="other", domain="development", name="their-data")


@task
def use(n: int) -> int:
    return n


@workflow
def using(n: int) -> int:
    return use(n=n)


@workflow
def asking(n: int = FOREIGN.query()) -> int:
    return use(n=n)


@task
def write() -> Annotated[int, FOREIGN]:
    return 1


_REQUESTS = {
    identifier_pb2.TASK: ("CreateTask", task_pb2.TaskCreateRequest),
    identifier_pb2.WORKFLOW: ("CreateWorkflow", workflow_pb2.WorkflowCreateRequest),
    identifier_pb2.LAUNCH_PLAN: ("CreateLaunchPlan", launch_plan_pb2.LaunchPlanCreateRequest),
}


def register(call: Call, entity: object, token: str) -> identifier_pb2.Identifier:
    for identifier, spec in specs_of(entity):
        name, request = _REQUESTS[identifier.resource_type]
        message: Message = request(id=identifier, spec=spec)  # type: ignore[operator,arg-type]
        try:
            call(ADMIN, name, message, token=token)
        except grpc.RpcError as error:  # the task and the workflow, which were registered before
            if error.code() != grpc.StatusCode.ALREADY_EXISTS:
                raise
    return identifier


def refused(call: Call, entity: object, token: str) -> str:
    with pytest.raises(grpc.RpcError) as error:
        register(call, entity, token)
    assert error.value.code() == grpc.StatusCode.PERMISSION_DENIED
    return str(error.value.details())


@pytest.fixture
def other(demo: Project) -> Project:
    return Project.objects.create(identifier="other", name="Other")


def give(name: str, role: str) -> None:
    RoleBinding.objects.create(user=User.objects.get(username=name), project="other", role=role)


def test_a_trigger_on_anothers_artifact_needs_reading_there(
    call: Call, token_of: Callable[..., str], other: Project
) -> None:
    token = token_of("ann", "approver")
    plan = LaunchPlan.create("on_theirs", using, trigger=OnArtifact(FOREIGN, inputs={"n": FOREIGN}))
    assert "ann may not read in other/development" in refused(call, plan, token)
    give("ann", "viewer")
    identifier = register(call, LaunchPlan.create("on_theirs_2", using, trigger=OnArtifact(FOREIGN)), token)
    RoleBinding.objects.filter(project="other").delete()  # and asked again when it is activated
    active = launch_plan_pb2.LaunchPlanUpdateRequest(id=identifier, state=launch_plan_pb2.ACTIVE)
    with pytest.raises(grpc.RpcError) as error:
        call(ADMIN, "UpdateLaunchPlan", active, token=token)
    assert error.value.code() == grpc.StatusCode.PERMISSION_DENIED


def test_a_query_on_anothers_artifact_needs_reading_there(
    call: Call, token_of: Callable[..., str], other: Project
) -> None:
    assert "ann may not read in other/development" in refused(call, asking, token_of("ann", "contributor"))


def test_publishing_into_anothers_artifact_needs_publishing_there(
    call: Call, token_of: Callable[..., str], other: Project
) -> None:
    token = token_of("ann", "contributor")
    give("ann", "viewer")
    assert "ann may not publish in other/development" in refused(call, write, token)
    give("ann", "contributor")
    register(call, write, token)
