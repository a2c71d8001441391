from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from flyteidl.admin import execution_pb2, matchable_resource_pb2
from flyteidl.core import tasks_pb2, workflow_pb2
from flyteidl.core.identifier_pb2 import LAUNCH_PLAN
from flytekit import LaunchPlan, Resources, task, workflow
from google.protobuf import json_format
from pytest_django import Settings

from artifacts.exceptions import InvalidArgument, NotFound
from scheduler.actions.attributes import delete_attributes, set_attributes
from scheduler.actions.launch import LaunchRequest, launch
from scheduler.attributes import TASK_RESOURCE, WORKFLOW_EXECUTION_CONFIG, Place, attributes_at, config_of_project, read
from scheduler.graphs import Target
from scheduler.models import Execution, MatchableAttributes, Project, TaskExecution
from scheduler.task_resources import resources_of
from tests.flyte import register_all
from tests.scheduler.driving import Driver

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]
WORKFLOW = "tests.scheduler.test_attributes.doubled"
DOMAIN, FLOW = Place("demo", "development"), Place("demo", "development", WORKFLOW)


@task(requests=Resources(cpu="500m", mem="1Gi"))
def double(x: int) -> int:
    return 2 * x


@task
def greedy(x: int) -> int:
    return x


@workflow
def doubled(x: int) -> int:
    return greedy(x=double(x=x)).with_overrides(requests=Resources(cpu="8", mem="64Gi"))


plan = LaunchPlan.get_or_create(doubled, "attributes_plan", max_parallelism=7)


def matching(**target: Any) -> matchable_resource_pb2.MatchingAttributes:
    return json_format.ParseDict(target, matchable_resource_pb2.MatchingAttributes())


def config(**fields: Any) -> matchable_resource_pb2.MatchingAttributes:
    return matching(workflow_execution_config=fields)


def resources(**fields: Any) -> matchable_resource_pb2.MatchingAttributes:
    return matching(task_resource_attributes=fields)


def give(place: Place, attributes: matchable_resource_pb2.MatchingAttributes) -> MatchableAttributes:
    return set_attributes(place, attributes, actor="ada")


@pytest.fixture(autouse=True)
def demo() -> None:
    Project.objects.create(identifier="demo", name="Demo")


def asking(name: str = WORKFLOW, **spec: Any) -> LaunchRequest:
    wanted = next(i for i in register_all(doubled, plan) if i.name == name and i.resource_type == LAUNCH_PLAN)
    asked = json_format.ParseDict(spec, execution_pb2.ExecutionSpec())
    asked.launch_plan.CopyFrom(wanted)
    request = LaunchRequest("demo", "development", "", asked)
    request.inputs.literals["x"].scalar.primitive.integer = 1
    return request


def launched(name: str = WORKFLOW, **spec: Any) -> Execution:
    return launch(asking(name, **spec), actor="ann")


def spec_of(execution: Execution) -> execution_pb2.ExecutionSpec:
    return execution_pb2.ExecutionSpec.FromString(bytes(execution.spec))


def test_the_request_wins_over_the_plan_and_that_over_attributes_of_workflow_and_project(settings: Settings) -> None:
    settings.CAUSEWAY_MAX_PARALLELISM = 25
    assert spec_of(launched()).max_parallelism == 25
    give(Place("demo"), config(max_parallelism=2, labels={"values": {"from": "project"}}, interruptible=True))
    give(DOMAIN, config(max_parallelism=3, envs={"values": [{"key": "A", "value": "domain"}]}))
    found = spec_of(launched())
    assert (found.max_parallelism, found.labels.values["from"], found.interruptible.value) == (3, "project", True)
    assert [(env.key, env.value) for env in found.envs.values] == [("A", "domain")]
    give(FLOW, config(max_parallelism=4, annotations={"values": {"by": "flow"}}, overwrite_cache=True))
    found = spec_of(launched())
    assert (found.max_parallelism, found.annotations.values["by"], found.overwrite_cache) == (4, "flow", True)
    assert found.labels.values["from"] == "project" and not found.envs.values  # the most specific, and the project's
    assert spec_of(launched("attributes_plan")).max_parallelism == 7
    asked = spec_of(launched("attributes_plan", max_parallelism=9, labels={"values": {"from": "request"}}))
    assert (asked.max_parallelism, dict(asked.labels.values)) == (9, {"from": "request"})


def test_security_and_raw_output_come_from_attributes_before_the_deprecated_roles() -> None:
    who = {"run_as": {"k8s_service_account": "robot"}}
    give(DOMAIN, config(security_context=who, raw_output_data_config={"output_location_prefix": "s3://there"}))
    found = spec_of(launched(auth_role={"kubernetes_service_account": "old"}))
    assert found.security_context.run_as.k8s_service_account == "robot"
    assert found.raw_output_data_config.output_location_prefix == "s3://there"
    mine = {"run_as": {"k8s_service_account": "me"}}
    assert spec_of(launched(security_context=mine)).security_context.run_as.k8s_service_account == "me"


def test_attributes_of_a_project_cost_a_launch_one_query_and_nothing_where_there_are_none(
    django_assert_num_queries: Any,
) -> None:
    request = asking()
    launch(request, actor="ann")
    with CaptureQueriesContext(connection) as plain:
        launch(request, actor="ann")
    give(DOMAIN, config(max_parallelism=3))
    with django_assert_num_queries(len(plain) + 1):
        launch(request, actor="ann")


def test_task_resources_fill_what_is_not_asked_for_and_cap_overrides() -> None:
    give(DOMAIN, resources(defaults={"cpu": "250m", "memory": "100Mi"}, limits={"cpu": "2", "memory": "1Gi"}))
    execution = launched()
    Driver({"double": lambda x: 2 * x, "greedy": lambda x: x}).run(execution)
    amounts = dict(TaskExecution.objects.values_list("node__node_id", "resources"))
    assert amounts == {"n0": {"cpu": 0.5, "memory": 2**30}, "n1": {"cpu": 2, "memory": 2**30}}


def test_attributes_set_after_the_launch_do_not_change_it() -> None:
    execution = launched()
    give(DOMAIN, resources(limits={"cpu": "100m"}))
    Driver({"double": lambda x: 2 * x, "greedy": lambda x: x}).run(execution)
    assert TaskExecution.objects.get(task__name__endswith="double").resources["cpu"] == 0.5


def test_a_task_that_asks_for_more_than_the_project_allows_is_not_registered() -> None:
    give(DOMAIN, resources(limits={"memory": "512Mi"}))
    with pytest.raises(InvalidArgument, match="memory .* greater than the limit set for its project"):
        register_all(plan)
    delete_attributes(DOMAIN, TASK_RESOURCE, actor="ann")
    register_all(plan)


@pytest.mark.parametrize(
    ("requests", "limits", "message"),
    [
        ({"cpu": "2"}, {"cpu": "1"}, "request of cpu .* greater than its limit"),
        ({"gpu": "0.5"}, {}, "whole number"),
        ({"gpu": "1"}, {"gpu": "2"}, "must equal"),
        ({"mem": "lots"}, {}, "not a resource quantity"),
    ],
)
def test_it_refuses_requests_that_cannot_be_given(requests: Any, limits: Any, message: str) -> None:
    @task(requests=Resources(**requests), limits=Resources(**limits))
    def odd(x: int) -> int:
        return x

    with pytest.raises(InvalidArgument, match=message):
        register_all(odd)


@pytest.mark.parametrize(
    ("requests", "limits", "amounts"),
    [
        ({"memory": "1Gi"}, {"memory": "2Gi"}, {"memory": 2**30, "memory_limit": 2**31}),
        ({}, {"memory": "2Gi"}, {"memory": 2**31, "at_most": ["memory"]}),
        ({"memory": "3Gi"}, {"memory": "9Gi"}, {"memory": 3 * 2**30, "memory_limit": 2**32}),
        ({"memory": "8Gi"}, {}, {"memory": 2**32}),
    ],
)
def test_memory_is_bounded_by_the_limit_and_that_by_the_platform(requests: Any, limits: Any, amounts: Any) -> None:
    template, names = tasks_pb2.TaskTemplate(), tasks_pb2.Resources
    own = template.container.resources
    for entries, given in ((own.requests, requests), (own.limits, limits)):
        for name, value in given.items():
            entries.add(name=names.ResourceName.Value(name.upper()), value=value)
    platform = resources(limits={"memory": "4Gi"}).task_resource_attributes
    assert resources_of(Target(workflow_pb2.Node(), template), platform) == amounts


def test_the_most_specific_is_found_and_a_deleted_one_gives_way() -> None:
    give(Place("demo"), config(max_parallelism=2))
    give(FLOW, config(max_parallelism=4))
    give(FLOW, config(max_parallelism=5))
    assert read(attributes_at(FLOW, WORKFLOW_EXECUTION_CONFIG)).workflow_execution_config.max_parallelism == 5
    assert attributes_at(DOMAIN, WORKFLOW_EXECUTION_CONFIG).domain == ""
    assert delete_attributes(FLOW, WORKFLOW_EXECUTION_CONFIG, actor="ann")
    assert not delete_attributes(FLOW, WORKFLOW_EXECUTION_CONFIG, actor="ann")
    assert attributes_at(FLOW, WORKFLOW_EXECUTION_CONFIG).workflow == ""
    with pytest.raises(NotFound, match="TASK_RESOURCE"):
        attributes_at(FLOW, TASK_RESOURCE)
    assert config_of_project("demo").max_parallelism == 2


@pytest.mark.parametrize(
    ("place", "attributes", "message"),
    [
        (Place("nowhere"), config(max_parallelism=1), "nowhere"),
        (Place("demo", "moon"), config(max_parallelism=1), "moon"),
        (Place("demo", "", "flow"), config(max_parallelism=1), "in a domain"),
        (DOMAIN, config(max_parallelism=-1), "max_parallelism"),
        (DOMAIN, config(labels={"values": {"a b": "c"}}), "a b"),
        (DOMAIN, resources(defaults={"cpu": "many"}), "many"),
        (DOMAIN, resources(defaults={"cpu": "2"}, limits={"cpu": "1"}), "default of cpu"),
        (DOMAIN, matching(quality_of_service={"tier": 1}), "unrecognized"),
        (DOMAIN, matching(), "unrecognized"),
    ],
)
def test_it_refuses_attributes_that_cannot_be_meant(place: Place, attributes: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        give(place, attributes)
    assert not MatchableAttributes.objects.exists()


def test_a_cluster_is_asked_for_by_the_request_or_else_by_the_narrowest_attributes() -> None:
    assert not spec_of(launched()).HasField("execution_cluster_label")
    for place, label, pool in ((Place("demo"), "wide", "wide-pool"), (DOMAIN, "narrow", "narrow-pool")):
        give(place, matching(execution_cluster_label={"value": label}))
        give(place, matching(cluster_assignment={"cluster_pool_name": pool}))
    found = spec_of(launched())
    assert (found.execution_cluster_label.value, found.cluster_assignment.cluster_pool_name) == (
        "narrow",
        "narrow-pool",
    )
    found = spec_of(
        launched(execution_cluster_label={"value": "mine"}, cluster_assignment={"cluster_pool_name": "own"})
    )
    assert (found.execution_cluster_label.value, found.cluster_assignment.cluster_pool_name) == ("mine", "own")
