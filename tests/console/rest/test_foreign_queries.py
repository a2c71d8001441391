"""Who launches needs to read where a default input's query leads, at the REST door and through gRPC alike."""

from __future__ import annotations

from typing import Any

import pytest
from flyteidl.admin import execution_pb2
from flyteidl.core import identifier_pb2, literals_pb2
from flytekit import Artifact, workflow

from artifacts.exceptions import PermissionDenied
from console.accounts.models import Role, RoleBinding, User
from console.rpc.caller import Caller as RpcCaller
from console.rpc.executions import create_execution
from scheduler.models import Execution
from tests.artifacts.publishing import publish_output
from tests.console.rest import program
from tests.console.rest.conftest import Caller, problem
from tests.flyte import register_all

FOREIGN = Artifact(name="number", project="elsewhere", domain="development")


@workflow
def reaching(x: int = FOREIGN.query()) -> int:
    return program.double(x=x)


@pytest.fixture
def registered(db: None) -> None:
    register_all(reaching)
    publish_output(FOREIGN, 4, project="elsewhere", execution_key="elsewhere/development/e1")


def body(**inputs: Any) -> dict[str, Any]:
    return {"project": "demo", "domain": "development", "workflow": {"name": reaching.name}, "inputs": inputs}


def test_it_denies_a_query_into_a_foreign_project(registered: None, api: Caller, cast: dict[str, User]) -> None:
    answer = problem(api("ann").post("/api/v1/executions", body()), 403)
    assert 'input "x" is queried from number in elsewhere/development, which you may not read' in answer["detail"]
    assert not Execution.objects.exists()
    assert api("ann").post("/api/v1/executions", body(x=7)).status_code == 201  # a value asks nobody
    RoleBinding.objects.create(user=cast["ann"], role=Role.VIEWER, project="elsewhere")
    found = api("ann").post("/api/v1/executions", body()).json()
    assert found["resolution"]["x"]["artifact"] == "elsewhere/development/number"


def test_it_denies_it_through_grpc_too(registered: None, cast: dict[str, User]) -> None:
    plan = identifier_pb2.Identifier(
        resource_type=identifier_pb2.LAUNCH_PLAN,
        project="demo",
        domain="development",
        name=reaching.name,
        version="v1",
    )
    request = execution_pb2.ExecutionCreateRequest(
        project="demo", domain="development", spec=execution_pb2.ExecutionSpec(launch_plan=plan)
    )
    with pytest.raises(PermissionDenied, match="which you may not read"):
        create_execution(request, RpcCaller(cast["ann"]))
    request.inputs.CopyFrom(literals_pb2.LiteralMap())
    assert create_execution(request, RpcCaller(cast["root"])).id.project == "demo"
