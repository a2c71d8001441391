"""Real flytekit programs, serialised and registered as `pyflyte register` would, without a server in between."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, cast

from flyteidl.admin import launch_plan_pb2, task_pb2, workflow_pb2
from flyteidl.core import identifier_pb2

Spec = task_pb2.TaskSpec | workflow_pb2.WorkflowSpec | launch_plan_pb2.LaunchPlanSpec


def specs_of(
    entity: object, *, project: str = "demo", domain: str = "development", version: str = "v1"
) -> list[tuple[identifier_pb2.Identifier, Spec]]:
    """What a client registers for a flytekit task, workflow or launch plan: dependencies first, in flytekit's order.

    A workflow brings its default launch plan, a launch plan its workflow. References are left out, as clients do.
    """
    from flytekit import LaunchPlan
    from flytekit.configuration import Image, ImageConfig, SerializationSettings
    from flytekit.core.context_manager import FlyteContextManager
    from flytekit.core.reference_entity import ReferenceSpec
    from flytekit.core.workflow import WorkflowBase
    from flytekit.models import launch_plan as launch_plan_models
    from flytekit.models import task as task_models
    from flytekit.models.admin.workflow import WorkflowSpec
    from flytekit.tools.translator import get_serializable

    image = Image(name="default", fqn="localhost/causeway", tag="test")
    settings = SerializationSettings(
        project=project, domain=domain, version=version, image_config=ImageConfig(default_image=image, images=[image])
    )
    found: OrderedDict[Any, Any] = OrderedDict()
    get_serializable(found, settings, cast(Any, entity))
    if isinstance(entity, WorkflowBase):
        context = FlyteContextManager.current_context()
        get_serializable(found, settings, LaunchPlan.get_default_launch_plan(context, entity))
    specs: list[tuple[identifier_pb2.Identifier, Spec]] = []
    for model in found.values():
        if isinstance(model, ReferenceSpec):
            continue
        if isinstance(model, (task_models.TaskSpec, WorkflowSpec)):
            specs.append((model.template.id.to_flyte_idl(), model.to_flyte_idl()))
        elif isinstance(model, launch_plan_models.LaunchPlan):
            specs.append((model.id.to_flyte_idl(), model.spec.to_flyte_idl()))
    return specs


def register_all(
    *entities: object,
    project: str = "demo",
    domain: str = "development",
    version: str = "v1",
    actor: str = "tester",
) -> list[identifier_pb2.Identifier]:
    """Registers flytekit entities with their dependencies; what exists already with the same content is left alone."""
    from artifacts.exceptions import AlreadyExists
    from scheduler.actions.register import register_launch_plan, register_task, register_workflow
    from scheduler.models import Project

    Project.objects.get_or_create(identifier=project, defaults={"name": project})
    identifiers: list[identifier_pb2.Identifier] = []
    for entity in entities:
        for identifier, spec in specs_of(entity, project=project, domain=domain, version=version):
            try:
                if isinstance(spec, task_pb2.TaskSpec):
                    register_task(identifier, spec, actor=actor)
                elif isinstance(spec, workflow_pb2.WorkflowSpec):
                    register_workflow(identifier, spec, actor=actor)
                else:
                    register_launch_plan(identifier, spec, actor=actor)
            except AlreadyExists:
                pass
            identifiers.append(identifier)
    return identifiers


def register_module(module: object, **options: str) -> list[identifier_pb2.Identifier]:
    """Registers every task, workflow and launch plan that is a global of a module, in the order written."""
    from flytekit import LaunchPlan
    from flytekit.core.base_task import PythonTask
    from flytekit.core.workflow import WorkflowBase

    entities = [value for value in vars(module).values() if isinstance(value, (PythonTask, WorkflowBase, LaunchPlan))]
    return register_all(*entities, **options)
