"""What an evaluation costs does not depend on the size of the workflow."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from flyteidl.core import compiler_pb2, identifier_pb2, interface_pb2, literals_pb2, tasks_pb2, types_pb2, workflow_pb2

from scheduler.advance import advance
from scheduler.models import Execution, NodeExecution, Task, TaskExecution
from scheduler.phases import NodePhase
from tests.scheduler.driving import Driver, start, store_workflow

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]

WHOLE = interface_pb2.VariableMap(
    variables={"o0": interface_pb2.Variable(type=types_pb2.LiteralType(simple=types_pb2.INTEGER))}
)
INPUT = interface_pb2.VariableMap(
    variables={"a": interface_pb2.Variable(type=types_pb2.LiteralType(simple=types_pb2.INTEGER))}
)


def chains(length: int, width: int) -> compiler_pb2.CompiledWorkflowClosure:
    """`width` chains of `length` tasks side by side."""
    task_id = identifier_pb2.Identifier(project="demo", domain="development", name="step", version="v1")
    container = tasks_pb2.Container(image="x", args=["run", "--inputs", "{{.input}}"])
    interface = interface_pb2.TypedInterface(inputs=INPUT, outputs=WHOLE)
    task = tasks_pb2.TaskTemplate(id=task_id, type="python-task", interface=interface, container=container)
    nodes = []
    for lane in range(width):
        for step in range(length):
            source = types_pb2.OutputReference(node_id=f"n{lane}x{step - 1}", var="o0")
            one = literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=1))
            data = literals_pb2.BindingData(promise=source) if step else literals_pb2.BindingData(scalar=one)
            nodes.append(
                workflow_pb2.Node(
                    id=f"n{lane}x{step}",
                    inputs=[literals_pb2.Binding(var="a", binding=data)],
                    task_node=workflow_pb2.TaskNode(reference_id=task_id),
                )
            )
    workflow_id = identifier_pb2.Identifier(
        project="demo", domain="development", name=f"w{length}x{width}", version="1"
    )
    template = workflow_pb2.WorkflowTemplate(id=workflow_id, nodes=nodes)
    return compiler_pb2.CompiledWorkflowClosure(
        primary=compiler_pb2.CompiledWorkflow(template=template), tasks=[compiler_pb2.CompiledTask(template=task)]
    )


def statements_for_one_end(length: int, width: int) -> tuple[Execution, list[str]]:
    TaskExecution.objects.all().delete()
    execution = start(store_workflow(chains(length, width)))
    advance(execution.pk)
    driver = Driver({"step": lambda a: a})
    driver.answer_all(limit=1)
    with CaptureQueriesContext(connection) as queries:
        advance(execution.pk)
    return execution, [query["sql"] for query in queries.captured_queries]


def test_it_costs_the_same_in_a_workflow_of_ten_thousand_nodes() -> None:
    Task.objects.create(
        project="demo", domain="development", name="step", version="v1", spec=b"", closure=b"", digest=b""
    )
    _, small = statements_for_one_end(length=10, width=2)
    execution, large = statements_for_one_end(length=100, width=100)
    assert len(large) == len(small)
    work = [sql for sql in large if "SAVEPOINT" not in sql]
    assert len(work) <= 10, "\n".join(work)
    rows = NodeExecution.objects.filter(execution=execution)
    assert rows.exclude(phase=NodePhase.SUCCEEDED).count() == 100
