"""Real flytekit programs, serialised and registered as `pyflyte register` would, without a server in between."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from typing import Any, cast

from flyteidl.admin import launch_plan_pb2, task_pb2, workflow_pb2
from flyteidl.core import identifier_pb2

Spec = task_pb2.TaskSpec | workflow_pb2.WorkflowSpec | launch_plan_pb2.LaunchPlanSpec


def specs_of(
    entity: object, *, project: str, domain: str, version: str = "v1", image: str = "localhost/causeway:test"
) -> list[tuple[identifier_pb2.Identifier, Spec]]:
    """What a client registers for a flytekit task, workflow or launch plan: dependencies first, in flytekit's order.

    A workflow brings its default launch plan, a launch plan its workflow. References are left out, as clients do.
    """
    from flytekit import LaunchPlan
    from flytekit.configuration import Image, ImageConfig, SerializationSettings
    from flytekit.core.context_manager import FlyteContextManager
    from flytekit.core.workflow import WorkflowBase
    from flytekit.tools.translator import get_serializable

    name, _, tag = image.rpartition(":")
    default = Image(name="default", fqn=name, tag=tag)
    images = ImageConfig(default_image=default, images=[default])
    settings = SerializationSettings(project=project, domain=domain, version=version, image_config=images)
    found: OrderedDict[Any, Any] = OrderedDict()
    get_serializable(found, settings, cast(Any, entity))
    if isinstance(entity, WorkflowBase):
        context = FlyteContextManager.current_context()
        get_serializable(found, settings, LaunchPlan.get_default_launch_plan(context, entity))
    return [spec for model in found.values() if (spec := _spec(model)) is not None]


def _spec(model: Any) -> tuple[identifier_pb2.Identifier, Spec] | None:
    """Nothing for the nodes and references that flytekit lists beside them."""
    from flytekit.core.reference_entity import ReferenceSpec
    from flytekit.models.admin.workflow import WorkflowSpec
    from flytekit.models.launch_plan import LaunchPlan
    from flytekit.models.task import TaskSpec

    if isinstance(model, LaunchPlan):
        return model.id.to_flyte_idl(), model.spec.to_flyte_idl()
    if isinstance(model, (TaskSpec, WorkflowSpec)) and not isinstance(model, ReferenceSpec):
        return model.template.id.to_flyte_idl(), model.to_flyte_idl()
    return None


def register_all(
    *entities: object, project: str, domain: str, version: str = "v1", actor: str
) -> list[identifier_pb2.Identifier]:
    """Registers flytekit entities with their dependencies; what exists already with the same content is left alone."""
    from artifacts.exceptions import AlreadyExists
    from scheduler.actions.register import register_launch_plan, register_task, register_workflow
    from scheduler.models import Project

    Project.objects.get_or_create(identifier=project, defaults={"name": project})
    identifiers: list[identifier_pb2.Identifier] = []
    for entity in entities:
        for identifier, spec in specs_of(entity, project=project, domain=domain, version=version):
            with suppress(AlreadyExists):
                if isinstance(spec, task_pb2.TaskSpec):
                    register_task(identifier, spec, actor=actor)
                elif isinstance(spec, workflow_pb2.WorkflowSpec):
                    register_workflow(identifier, spec, actor=actor)
                else:
                    register_launch_plan(identifier, spec, actor=actor)
            identifiers.append(identifier)
    return identifiers


def register_module(module: object, **options: str) -> list[identifier_pb2.Identifier]:
    """Registers every task, workflow and launch plan that is a global of a module, or in a list that is one, in the
    order written.
    """
    from flytekit import LaunchPlan
    from flytekit.core.base_task import PythonTask
    from flytekit.core.workflow import WorkflowBase

    named = [value for one in vars(module).values() for value in (one if isinstance(one, list) else [one])]
    entities = [value for value in named if isinstance(value, (PythonTask, WorkflowBase, LaunchPlan))]
    return register_all(*entities, **cast(Any, options))
