from __future__ import annotations

from dataclasses import replace

import pytest
from flytekit.clients.friendly import SynchronousFlyteClient
from flytekit.configuration import ImageConfig, SerializationSettings
from flytekit.exceptions.user import (
    FlyteEntityAlreadyExistsException,
    FlyteInvalidInputException,
)
from flytekit.models.common import NamedEntityIdentifier
from flytekit.models.core.identifier import Identifier, ResourceType
from flytekit.models.launch_plan import LaunchPlanState
from flytekit.models.named_entity import NamedEntityMetadata, NamedEntityState
from flytekit.models.project import Project
from flytekit.remote import FlyteRemote

from scheduler.models import LaunchPlan, NamedEntity, Task, Workflow
from tests.console.rpc import programs

SETTINGS = SerializationSettings(
    image_config=ImageConfig.auto(img_name="localhost/causeway:test"), project="demo", domain="development"
)


def test_it_registers_a_task_twice_and_finds_it(remote: FlyteRemote) -> None:
    for _ in range(2):
        registered = remote.register_task(programs.double, SETTINGS, version="v1")
    assert registered.id.version == "v1"
    assert Task.objects.count() == 1
    assert remote.fetch_task(name=programs.double.name).interface.inputs["number"].type.simple == 1


def test_it_registers_a_workflow_with_its_tasks_and_default_launch_plan(remote: FlyteRemote) -> None:
    registered = remote.register_workflow(programs.nested, SETTINGS, version="v1")
    assert Task.objects.count() == 2
    assert sorted(Workflow.objects.values_list("name", flat=True)) == [programs.nested.name, programs.twice.name]
    assert [node.id for node in registered.flyte_nodes] == ["n0", "n1"]
    plan = remote.fetch_launch_plan(name=programs.nested.name)
    assert plan.id.version == "v1" and set(plan.interface.inputs) == {"number"}


def test_it_lists_a_workflow_by_its_interface(remote: FlyteRemote, client: SynchronousFlyteClient) -> None:
    remote.register_workflow(programs.twice, SETTINGS, version="v1")
    found, _ = client.list_workflows_paginated(NamedEntityIdentifier("demo", "development"), limit=5)
    template = found[0].closure.compiled_workflow.primary.template
    assert set(template.interface.inputs) == {"number", "name"} and not template.nodes


def test_it_refuses_another_content_under_a_registered_version(
    remote: FlyteRemote, client: SynchronousFlyteClient
) -> None:
    registered = remote.register_task(programs.double, SETTINGS, version="v1")
    identifier = Identifier(ResourceType.TASK, "demo", "development", programs.double.name, "v1")
    spec = client.get_task(identifier)
    with pytest.raises(FlyteInvalidInputException) as error:
        remote.register_task(_renamed(programs.greet, programs.double.name), SETTINGS, version="v1")
    assert "different structure" in str(error.value.__cause__)
    assert client.get_task(identifier) == spec
    assert registered.id == identifier


def _renamed(task: object, name: str) -> object:
    import copy

    other = copy.copy(task)
    other._name = name  # type: ignore[attr-defined]
    return other


def test_it_refuses_to_register_in_an_unknown_project(remote: FlyteRemote) -> None:
    elsewhere = replace(SETTINGS, project="nowhere")
    with pytest.raises(FlyteInvalidInputException):
        remote.register_task(programs.double, elsewhere, version="v1")
    assert not Task.objects.exists()


def test_it_activates_one_version_of_a_launch_plan(remote: FlyteRemote, client: SynchronousFlyteClient) -> None:
    for version in ("v1", "v2"):
        remote.register_launch_plan(programs.fixed_plan, version, serialization_settings=SETTINGS)
    name = programs.fixed_plan.name
    first, second = (Identifier(ResourceType.LAUNCH_PLAN, "demo", "development", name, v) for v in ("v1", "v2"))
    remote.activate_launchplan(first)
    remote.activate_launchplan(second)
    active = remote.fetch_active_launchplan(name=name)
    assert active is not None and active.id.version == "v2"
    assert LaunchPlan.objects.filter(state=LaunchPlan.State.ACTIVE).count() == 1
    client.update_launch_plan(second, LaunchPlanState.INACTIVE)
    assert remote.fetch_active_launchplan(name=name) is None
    assert set(active.fixed_inputs.literals) == {"name"}


def test_it_describes_and_archives_a_name(remote: FlyteRemote, client: SynchronousFlyteClient) -> None:
    remote.register_task(programs.double, SETTINGS, version="v1")
    name = NamedEntityIdentifier("demo", "development", programs.double.name)
    client.update_named_entity(ResourceType.TASK, name, NamedEntityMetadata("twice as much", NamedEntityState.ARCHIVED))
    entity = NamedEntity.objects.get(name=programs.double.name)
    assert (entity.description, entity.archived) == ("twice as much", True)


def test_it_registers_and_updates_a_project(client: SynchronousFlyteClient) -> None:
    client.register_project(Project("river", "River", "all about rivers"))
    with pytest.raises(FlyteEntityAlreadyExistsException):
        client.register_project(Project("river", "River", ""))
    archived = Project("river", "River", "dry", state=Project.ProjectState.ARCHIVED)
    client.update_project(archived)
    assert [project.id for project in client.list_projects_paginated(limit=10)[0]] == ["demo"]
    with pytest.raises(FlyteInvalidInputException):
        client.register_project(Project("Not A Name", "x", ""))
