from __future__ import annotations

import pytest
from flyteidl.admin import execution_pb2
from flyteidl.core import identifier_pb2
from flytekit.clients.friendly import SynchronousFlyteClient
from flytekit.configuration import PlatformConfig
from flytekit.exceptions.base import FlyteException
from flytekit.exceptions.user import (
    FlyteAuthenticationException,
    FlyteEntityNotExistException,
    FlyteInvalidInputException,
)
from flytekit.models.core.execution import WorkflowExecutionPhase
from flytekit.remote import FlyteRemote
from pytest_django import Settings

from scheduler.models import Execution
from scheduler.phases import ExecutionPhase
from tests.console.rpc import programs, rows
from tests.console.rpc.test_dispatch import ADMIN
from tests.console.rpc.test_lists import Call
from tests.flyte import register_all


def test_it_launches_a_workflow_by_name_with_its_defaults(remote: FlyteRemote) -> None:
    register_all(programs.twice)
    plan = remote.fetch_launch_plan(name=programs.twice.name)
    launched = remote.execute(plan, {"number": 3})
    assert len(launched.id.name) == 20 and launched.id.name[0].isalpha()
    synced = remote.sync(launched)
    assert synced.inputs == {"number": 3, "name": "you"}
    assert synced.closure.phase in (WorkflowExecutionPhase.UNDEFINED, WorkflowExecutionPhase.QUEUED)
    assert synced.spec.metadata.principal == "admin"
    assert not synced.is_done


def test_it_launches_a_workflow_a_launch_plan_and_a_task(remote: FlyteRemote) -> None:
    register_all(programs.twice, programs.fixed_plan)
    workflow = remote.fetch_workflow(name=programs.twice.name)
    assert remote.execute(workflow, {"number": 1}).spec.launch_plan.name == programs.twice.name
    plan = remote.fetch_launch_plan(name=programs.fixed_plan.name)
    assert remote.sync(remote.execute(plan, {})).inputs == {"number": 4, "name": "they"}
    task = remote.execute(remote.fetch_task(name=programs.greet.name), {"name": "all", "times": 2})
    assert task.spec.launch_plan.resource_type == identifier_pb2.TASK
    assert remote.sync(task, sync_nodes=True).inputs == {"name": "all", "times": 2}


def test_it_launches_once_under_a_given_name(remote: FlyteRemote) -> None:
    register_all(programs.twice)
    plan = remote.fetch_launch_plan(name=programs.twice.name)
    for _ in range(2):
        assert remote.execute(plan, {"number": 3}, execution_name="once").id.name == "once"
    assert Execution.objects.count() == 1


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "number"),
        ({"number": "three"}, "number"),
        ({"number": 3, "colour": "red"}, "colour"),
    ],
)
def test_it_refuses_inputs_that_do_not_fit(
    remote: FlyteRemote, client: SynchronousFlyteClient, inputs: dict[str, object], words: str
) -> None:
    from flytekit.core.type_engine import TypeEngine
    from flytekit.models.execution import ExecutionMetadata, ExecutionSpec
    from flytekit.models.literals import LiteralMap

    register_all(programs.twice)
    plan = remote.fetch_launch_plan(name=programs.twice.name)
    types = {name: type(value) for name, value in inputs.items()}
    literals = TypeEngine.dict_to_literal_map(remote.context, inputs, types) if inputs else LiteralMap({})
    spec = ExecutionSpec(plan.id, ExecutionMetadata(ExecutionMetadata.ExecutionMode.MANUAL, "x", 0))
    with pytest.raises(FlyteInvalidInputException) as error:
        client.create_execution("demo", "development", "", spec, literals)
    assert words in str(error.value.__cause__)
    assert not Execution.objects.exists()


@pytest.mark.parametrize("name", ["Has-Capitals", "-dash", "a" * 64, "sp ace", "1st"])
def test_it_refuses_an_execution_name_that_flyte_refuses(call: Call, name: str) -> None:
    import grpc

    register_all(programs.twice)
    request = execution_pb2.ExecutionCreateRequest(
        project="demo", domain="development", name=name, spec=execution_pb2.ExecutionSpec(launch_plan=_plan("v1"))
    )
    with pytest.raises(grpc.RpcError) as error:
        call(ADMIN, "CreateExecution", request)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def _plan(version: str) -> identifier_pb2.Identifier:
    return identifier_pb2.Identifier(
        resource_type=identifier_pb2.LAUNCH_PLAN,
        project="demo",
        domain="development",
        name=programs.twice.name,
        version=version,
    )


def test_it_does_not_find_what_does_not_exist(remote: FlyteRemote, call: Call) -> None:
    import grpc

    with pytest.raises(FlyteEntityNotExistException):
        remote.fetch_execution(name="nothing")
    request = execution_pb2.ExecutionCreateRequest(
        project="demo", domain="development", spec=execution_pb2.ExecutionSpec(launch_plan=_plan("v9"))
    )
    with pytest.raises(grpc.RpcError) as error:
        call(ADMIN, "CreateExecution", request)
    assert error.value.code() is grpc.StatusCode.NOT_FOUND


def test_it_terminates_an_execution_once(remote: FlyteRemote) -> None:
    register_all(programs.twice)
    launched = remote.execute(remote.fetch_launch_plan(name=programs.twice.name), {"number": 3})
    remote.terminate(launched, "changed my mind")
    row = Execution.objects.get(name=launched.id.name)
    assert row.abort_cause == "changed my mind" and row.aborted_by == "admin"
    Execution.objects.update(phase=ExecutionPhase.ABORTED)
    with pytest.raises(FlyteException) as error:
        remote.terminate(launched, "again")
    assert error.value.__cause__.code().name == "FAILED_PRECONDITION"


def test_it_relaunches_with_the_same_inputs(remote: FlyteRemote, client: SynchronousFlyteClient) -> None:
    register_all(programs.fixed_plan)
    first = remote.execute(remote.fetch_launch_plan(name=programs.fixed_plan.name), {"number": 7})
    again = client.relaunch_execution(first.id, name="again")
    synced = remote.sync(remote.fetch_execution(name=again.name))
    assert synced.inputs == {"number": 7, "name": "they"}
    assert synced.spec.metadata.mode == execution_pb2.ExecutionMetadata.RELAUNCH
    answer = client._stub.GetExecution(execution_pb2.WorkflowExecutionGetRequest(id=again.to_flyte_idl()))
    assert answer.spec.metadata.reference_execution.name == first.id.name


def test_it_archives_an_execution(remote: FlyteRemote, client: SynchronousFlyteClient) -> None:
    execution = rows.make_execution(rows.make_launch_plan(rows.make_workflow()), "old")
    request = execution_pb2.ExecutionUpdateRequest(
        id=identifier_pb2.WorkflowExecutionIdentifier(project="demo", domain="development", name="old"),
        state=execution_pb2.EXECUTION_ARCHIVED,
    )
    client._stub.UpdateExecution(request)
    execution.refresh_from_db()
    assert execution.archived
    assert remote.recent_executions() == []


def test_it_works_with_a_token_from_an_external_command(address: str, settings: Settings, token_of: object) -> None:
    settings.CAUSEWAY_GRPC_AUTH = "token"
    from flytekit.configuration import AuthType

    token = token_of("mara", "contributor")  # type: ignore[operator]
    for words, works in ((["echo", token], True), (["echo", "cwy_wrong"], False)):
        config = PlatformConfig(endpoint=address, insecure=True, auth_mode=AuthType.EXTERNALCOMMAND, command=words)
        client = SynchronousFlyteClient(config)
        if works:
            assert [project.id for project in client.list_projects_paginated(limit=5)[0]] == ["demo"]
        else:
            with pytest.raises(FlyteAuthenticationException):
                client.list_projects_paginated(limit=5)
