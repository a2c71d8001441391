from __future__ import annotations

from urllib.parse import urlsplit

import grpc
import pytest
from django.urls import resolve
from django.utils import timezone
from flyteidl.admin import execution_pb2, node_execution_pb2, task_execution_pb2
from flyteidl.core import catalog_pb2, compiler_pb2, identifier_pb2
from flyteidl.core import execution_pb2 as core_execution_pb2
from flytekit.clients.friendly import SynchronousFlyteClient
from flytekit.models.core.execution import TaskExecutionPhase
from flytekit.models.core.identifier import NodeExecutionIdentifier, WorkflowExecutionIdentifier

from artifacts.store import store
from scheduler.models import Execution, NodeExecution, NodeKind, Project
from scheduler.phases import AttemptPhase, ExecutionPhase, NodePhase
from scheduler.queries import whole_run
from tests.console.rpc import rows
from tests.console.rpc.programs import mapping
from tests.console.rpc.test_dispatch import ADMIN, status
from tests.console.rpc.test_lists import Call
from tests.scheduler.driving import start, workflow_of

RUN = WorkflowExecutionIdentifier("demo", "development", "run")


@pytest.fixture
def run(address: str) -> Execution:
    return rows.make_execution(rows.make_launch_plan(rows.make_workflow()), "run")


def error_of(message: str) -> bytes:
    return core_execution_pb2.ExecutionError(code="USER:Oops", message=message, kind=1).SerializeToString()  # type: ignore[arg-type]


def test_it_shows_the_attempts_of_a_node(run: Execution, client: SynchronousFlyteClient) -> None:
    task = rows.make_task()
    node = rows.make_node(run, "n0", attempts=2)
    rows.make_attempt(node, task, 0, phase=AttemptPhase.RETRYABLE_FAILED, error=error_of("bang"), reason="it broke")
    second = rows.make_attempt(node, task, 1, log_uri="/logs/n0/1.log", output_uri="/x/outputs.pb")
    identifier = NodeExecutionIdentifier("n0", RUN)
    found, token = client.list_task_executions_paginated(identifier, limit=10)
    assert [(one.id.retry_attempt, one.closure.phase) for one in found] == [
        (0, TaskExecutionPhase.FAILED),
        (1, TaskExecutionPhase.SUCCEEDED),
    ]
    assert token == "" and found[0].closure.error.message == "bang"
    assert found[1].id.task_id.name == task.name and found[1].closure.output_uri == "/x/outputs.pb"
    link = resolve(urlsplit(found[1].closure.logs[0].uri).path)
    assert link.view_name == "node-logs" and link.kwargs["attempt_id"] == second.id
    assert client.get_task_execution(found[1].id).closure.phase == TaskExecutionPhase.SUCCEEDED


def test_it_shows_a_map_as_one_attempt_with_an_external_resource_for_each_item(
    run: Execution, client: SynchronousFlyteClient
) -> None:
    node = rows.make_node(run, "n0", kind=NodeKind.ARRAY, phase=NodePhase.RUNNING, ended_at=None)
    task = rows.make_task()
    for index in range(3):
        rows.make_attempt(node, task, 0, index)
    rows.make_attempt(node, task, 1, 2, phase=AttemptPhase.RUNNING)
    (only,), _ = client.list_task_executions_paginated(NodeExecutionIdentifier("n0", RUN), limit=10)
    assert only.closure.phase == TaskExecutionPhase.RUNNING
    items = [(item.index, item.retry_attempt) for item in only.closure.metadata.external_resources]
    assert items == [(0, 0), (1, 0), (2, 0), (2, 1)]
    assert client.get_task_execution(only.id).id == only.id
    (array,), _ = client.list_node_executions(RUN)
    assert array.metadata.is_array


def test_it_shows_the_items_of_a_map_that_came_from_the_cache(run: Execution, client: SynchronousFlyteClient) -> None:
    memory = {"size": 4, "next": 3, "reused": 2, "live": {}, "bad": []}
    node = rows.make_node(run, "n0", kind=NodeKind.ARRAY, state={"memory": memory})
    rows.make_attempt(node, rows.make_task(), index=1)
    (only,), _ = client.list_task_executions_paginated(NodeExecutionIdentifier("n0", RUN), limit=10)
    found = only.closure.metadata.external_resources
    hit = catalog_pb2.CACHE_HIT
    assert [(item.index, item.cache_status == hit) for item in found] == [(1, False), (0, True), (2, True)]


def test_it_shows_a_map_whose_items_all_came_from_the_cache(demo: Project, client: SynchronousFlyteClient) -> None:
    execution = start(workflow_of(mapping), {"numbers": [1, 2]})
    now = timezone.now()
    memory = {"size": 2, "next": 2, "reused": 2, "live": {}, "bad": []}
    NodeExecution.objects.create(
        execution=execution,
        node_id="n0",
        spec_node_id="n0",
        kind=NodeKind.ARRAY,
        phase=NodePhase.SUCCEEDED,
        state={"memory": memory},
        created_at=now,
        updated_at=now,
    )
    run = WorkflowExecutionIdentifier("demo", "development", execution.name)
    (only,), _ = client.list_task_executions_paginated(NodeExecutionIdentifier("n0", run), limit=10)
    assert only.id.task_id.name.startswith("tests.console.rpc.programs.map_double_")
    assert [item.cache_status for item in only.closure.metadata.external_resources] == [catalog_pb2.CACHE_HIT] * 2
    assert client.get_task_execution(only.id).id == only.id


def test_it_names_the_execution_a_node_launched(run: Execution, client: SynchronousFlyteClient) -> None:
    node = rows.make_node(run, "n0", kind=NodeKind.LAUNCH_PLAN)
    assert run.launch_plan is not None
    rows.make_execution(run.launch_plan, "child", parent_node=node)
    (found,), _ = client.list_node_executions(RUN)
    assert found.closure.workflow_node_metadata.execution_id.name == "child"
    child = client._stub.GetExecution(execution_pb2.WorkflowExecutionGetRequest(id=_id("child")))
    assert child.spec.metadata.parent_node_execution.node_id == "n0"


def test_of_a_node_that_launched_again_it_names_the_newest_execution(
    run: Execution, client: SynchronousFlyteClient
) -> None:
    node = rows.make_node(run, "n0", kind=NodeKind.LAUNCH_PLAN)
    assert run.launch_plan is not None
    first, second = (rows.make_execution(run.launch_plan, f"child-{number}", parent_node=node) for number in range(2))
    Execution.objects.filter(pk=first.pk).update(created_at=rows.at(99))  # written last: the database gives it last
    (found,), _ = client.list_node_executions(RUN)
    assert found.closure.workflow_node_metadata.execution_id.name == second.name
    assert whole_run(run).launched[node.pk] == second


def _id(name: str) -> identifier_pb2.WorkflowExecutionIdentifier:
    return identifier_pb2.WorkflowExecutionIdentifier(project="demo", domain="development", name=name)


def _node(node_id: str) -> identifier_pb2.NodeExecutionIdentifier:
    return identifier_pb2.NodeExecutionIdentifier(node_id=node_id, execution_id=_id("run"))


def test_it_gives_the_workflow_that_a_dynamic_node_made(run: Execution, call: Call) -> None:
    compiled = compiler_pb2.CompiledWorkflowClosure()
    compiled.primary.template.id.name = "made"
    uri = store().join(store().root, "metadata", run.key, "n0", "dynamic.pb")
    store().put(uri, compiled.SerializeToString())
    rows.make_node(run, "n0", is_dynamic=True, dynamic_uri=uri)
    rows.make_node(run, "n1")
    data = call(ADMIN, "GetNodeExecutionData", node_execution_pb2.NodeExecutionGetDataRequest(id=_node("n0")))
    assert data.dynamic_workflow.id.name == "made"  # type: ignore[attr-defined]
    request = node_execution_pb2.GetDynamicNodeWorkflowRequest(id=_node("n0"))
    assert call(ADMIN, "GetDynamicNodeWorkflow", request).compiled_workflow == compiled  # type: ignore[attr-defined]
    with pytest.raises(grpc.RpcError) as error:
        call(ADMIN, "GetDynamicNodeWorkflow", node_execution_pb2.GetDynamicNodeWorkflowRequest(id=_node("n1")))
    assert status(error) is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("GetNodeExecution", node_execution_pb2.NodeExecutionGetRequest(id=_node("n9"))),
        ("GetNodeExecutionData", node_execution_pb2.NodeExecutionGetDataRequest(id=_node("n9"))),
        ("ListTaskExecutions", task_execution_pb2.TaskExecutionListRequest(node_execution_id=_node("n9"), limit=1)),
        ("GetExecution", execution_pb2.WorkflowExecutionGetRequest(id=_id("none"))),
        ("GetExecutionData", execution_pb2.WorkflowExecutionGetDataRequest(id=_id("none"))),
        ("GetExecutionMetrics", execution_pb2.WorkflowExecutionGetMetricsRequest(id=_id("none"))),
        ("TerminateExecution", execution_pb2.ExecutionTerminateRequest(id=_id("none"), cause="x")),
        ("RelaunchExecution", execution_pb2.ExecutionRelaunchRequest(id=_id("none"))),
        ("RecoverExecution", execution_pb2.ExecutionRecoverRequest(id=_id("none"))),
    ],
)
def test_it_does_not_find_what_is_not_there(run: Execution, call: Call, method: str, request_: object) -> None:
    with pytest.raises(grpc.RpcError) as error:
        call(ADMIN, method, request_)
    assert status(error) is grpc.StatusCode.NOT_FOUND


def test_it_trims_errors_in_lists_but_not_alone(run: Execution, client: SynchronousFlyteClient) -> None:
    Execution.objects.update(phase=ExecutionPhase.FAILED, error=error_of("é" * 20_000))
    (listed,), _ = client.list_executions_paginated("demo", "development", limit=1)
    assert len(listed.closure.error.message) == 10_240 // 2
    assert len(client.get_execution(RUN).closure.error.message) == 20_000


def test_it_takes_an_executions_time_apart(run: Execution, client: SynchronousFlyteClient) -> None:
    task = rows.make_task()
    rows.make_node(run, "start-node", 0.1, kind=NodeKind.START)
    node = rows.make_node(run, "n0", 0.2)
    rows.make_attempt(node, task)
    parent = rows.make_node(run, "n1", 0.5, kind=NodeKind.WORKFLOW)
    rows.make_node(run, "n1-0-n0", 0.6, parent=parent)
    request = execution_pb2.WorkflowExecutionGetMetricsRequest(id=_id("run"), depth=10)
    span = client._stub.GetExecutionMetrics(request).span
    assert span.workflow_id.name == "run"
    kinds = [inner.WhichOneof("id") for inner in span.spans]
    assert kinds == ["operation_id", "node_id", "node_id", "operation_id"]
    operations = {inner.operation_id for inner in span.spans[1].spans[1].spans}
    assert operations == {"TASK_SETUP", "TASK_RUNTIME"}
    assert span.spans[2].spans[1].node_id.node_id == "n1-0-n0"
    shallow = client._stub.GetExecutionMetrics(execution_pb2.WorkflowExecutionGetMetricsRequest(id=_id("run")))
    assert not shallow.span.spans
    request.depth = -1
    assert client._stub.GetExecutionMetrics(request).span == span, "all there is"
