from __future__ import annotations

from typing import Annotated

import pytest
from flyteidl.admin import task_pb2
from flytekit import Artifact, task, workflow
from flytekit.core.artifact import Inputs

from artifacts.literals import carried
from artifacts.models import ArtifactVersion
from lineage.models import VersionEdge
from scheduler.compiler.requirements import Available, key_of
from scheduler.compiler.single_task import workflow_for
from scheduler.compiler.workflow import compile_closure
from scheduler.models import NodeExecution
from scheduler.phases import ExecutionPhase
from scheduler.shell import data
from tests.flyte import specs_of
from tests.scheduler.driving import Driver, error_of, outputs, start, store_workflow, workflow_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]

Number = Artifact(name="engine-number", partition_keys=["region"])
Total = Artifact(name="engine-total")


@task
def make(region: str) -> Annotated[int, Number(region=Inputs.region)]:
    return 1


@task
def use(a: int) -> int:
    return a


@workflow
def publishing(region: str) -> Annotated[int, Total]:
    return use(a=make(region=region))


def test_it_publishes_annotated_outputs_with_their_lineage() -> None:
    execution = start(workflow_of(publishing), {"region": "ATL"})
    Driver({"make": lambda region: 7, "use": lambda a: a + 1}).run(execution)
    assert execution.phase == ExecutionPhase.SUCCEEDED
    assert outputs(execution) == {"o0": 8}
    number = ArtifactVersion.objects.get(artifact__name="engine-number")
    total = ArtifactVersion.objects.get(artifact__name="engine-total")
    assert number.partitions == {"region": "ATL"}
    assert number.version == f"{execution.name}.n0.0.o0"
    assert total.version == f"{execution.name}.end-node.0.o0"
    edges = VersionEdge.objects.filter(execution_key=execution.key)
    assert set(edges.values_list("version_id", "node_id", "role", "via")) == {
        (number.pk, "n0", "produced", "output"),
        (number.pk, "n1", "consumed", "literal"),
        (total.pk, "", "produced", "output"),
    }
    node = NodeExecution.objects.get(execution=execution, node_id="n0")
    assert carried(data.read(node.output_uri).literals["o0"]) == number.pk


def test_it_fails_the_node_when_a_partition_is_refused() -> None:
    execution = start(workflow_of(publishing), {"region": ""})
    Driver({"make": lambda region: 7, "use": lambda a: a + 1}).run(execution)
    assert execution.phase == ExecutionPhase.FAILED
    assert "region" in error_of(execution).message
    assert not ArtifactVersion.objects.filter(execution_key=execution.key).exists()


def test_a_task_launched_alone_publishes_once() -> None:
    ((identifier, spec),) = specs_of(make)
    assert isinstance(spec, task_pb2.TaskSpec)
    wrapper = workflow_for(spec.template).template
    available = Available(tasks={key_of(identifier): spec.template}, launch_plans={}, workflows={})
    execution = start(store_workflow(compile_closure(wrapper, [], available)), {"region": "ATL"})
    Driver({"make": lambda region: 7}).run(execution)
    assert execution.phase == ExecutionPhase.SUCCEEDED
    assert outputs(execution) == {"o0": 7}
    version = ArtifactVersion.objects.get(execution_key=execution.key)
    assert carried(data.read(execution.outputs_uri).literals["o0"]) == version.pk
