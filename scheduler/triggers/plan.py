"""A trigger together with its launch plan's inputs: where each value of a launch comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from flyteidl.admin import launch_plan_pb2, workflow_pb2
from flyteidl.core import artifact_id_pb2, identifier_pb2, interface_pb2, literals_pb2, types_pb2
from google.protobuf import any_pb2

from artifacts import literals
from artifacts.exceptions import InvalidArgument
from scheduler.models import LaunchPlan, Trigger
from scheduler.triggers.parse import TriggerSpec, trigger_from


@dataclass(frozen=True)
class TriggerPlan:
    """`sources` says how each input is found that the launch itself would not fill with a constant.

    `constants` are the values a query may be bound to: fixed inputs and constant defaults. `fallbacks` are what
    inputs get whose query finds nothing: their default, None where the type allows that.
    """

    spec: TriggerSpec
    launch_plan: identifier_pb2.Identifier  # its project and domain are what queries mean that name none
    sources: Mapping[str, interface_pb2.Parameter]
    constants: Mapping[str, literals_pb2.Literal]
    fallbacks: Mapping[str, literals_pb2.Literal] = field(default_factory=dict)


TRIGGERING = artifact_id_pb2.ArtifactQuery(binding=artifact_id_pb2.ArtifactBindingData())


def make_plan(
    spec: TriggerSpec,
    launch_plan: launch_plan_pb2.LaunchPlanSpec,
    interface: interface_pb2.TypedInterface,
    identifier: identifier_pb2.Identifier,
) -> TriggerPlan:
    """Give every input of the workflow its source. InvalidArgument when one has none or is none.

    A single required input without a source takes the triggering artifact.
    """
    variables = dict(interface.inputs.variables)
    fixed = dict(launch_plan.fixed_inputs.literals)
    defaults = dict(launch_plan.default_inputs.parameters)
    unknown = sorted(set(spec.inputs) - set(variables))
    if unknown:
        raise InvalidArgument(
            f"the trigger gives {', '.join(unknown)}, which the workflow does not take; its inputs: "
            f"{', '.join(sorted(variables)) or 'none'}"
        )
    if both := sorted(set(spec.inputs) & set(fixed)):
        raise InvalidArgument(f"the trigger gives {', '.join(both)}, which the launch plan fixes")
    sources: dict[str, interface_pb2.Parameter] = {}
    constants = dict(fixed)
    missing = []
    for name, variable in variables.items():
        parameter = spec.inputs.get(name) or (defaults.get(name) if name not in fixed else None)
        behavior = parameter.WhichOneof("behavior") if parameter is not None else None
        if parameter is not None and (name in spec.inputs or behavior in ("artifact_query", "artifact_id")):
            if behavior in (None, "required"):
                raise InvalidArgument(f"the trigger says nothing about the value of input '{name}'")
            sources[name] = interface_pb2.Parameter()
            sources[name].CopyFrom(parameter)
            sources[name].var.CopyFrom(variable)
        elif parameter is not None and behavior == "default":
            constants[name] = parameter.default
        elif name not in fixed and not literals.is_optional(variable.type):
            missing.append(name)
    if len(missing) == 1 and len(spec.sources) == 1:
        sources[missing[0]] = interface_pb2.Parameter(var=variables[missing[0]], artifact_query=TRIGGERING)
    elif missing:
        raise InvalidArgument(
            f"a trigger has nobody to ask: give the inputs {', '.join(sorted(missing))} in OnArtifact(inputs=...), "
            "or a default"
        )
    fallbacks = {name: found for name in sources if (found := _fallback(name, variables[name].type, defaults))}
    return TriggerPlan(spec, identifier, sources, constants, fallbacks)


def _fallback(
    name: str, literal_type: types_pb2.LiteralType, defaults: Mapping[str, interface_pb2.Parameter]
) -> literals_pb2.Literal | None:
    """What the launch plan says an input is when nobody gives it.

    Flyte's own trigger engine gives None to an input that may be None (flyteartifacts/pkg/server/trigger_engine.go);
    flytekit declares it as the default of such inputs.
    """
    parameter = defaults.get(name)
    if parameter is not None and parameter.HasField("default"):
        return parameter.default
    return literals.from_json(None, literal_type, name=name) if literals.is_optional(literal_type) else None


def interface_of(launch_plan: LaunchPlan) -> interface_pb2.TypedInterface:
    closure = workflow_pb2.WorkflowClosure.FromString(bytes(launch_plan.workflow.closure))
    return closure.compiled_workflow.primary.template.interface


def conditions_of(launch_plan: LaunchPlan) -> any_pb2.Any | None:
    """The launch conditions of a registered launch plan, if it has any."""
    metadata = launch_plan_pb2.LaunchPlanSpec.FromString(bytes(launch_plan.spec)).entity_metadata
    return metadata.launch_conditions if metadata.HasField("launch_conditions") else None


def plan_of_launch_plan(launch_plan: LaunchPlan, conditions: any_pb2.Any) -> TriggerPlan:
    project, domain = launch_plan.project, launch_plan.domain
    return make_plan(
        trigger_from(conditions, project=project, domain=domain),
        launch_plan_pb2.LaunchPlanSpec.FromString(bytes(launch_plan.spec)),
        interface_of(launch_plan),
        identifier_pb2.Identifier(
            resource_type=identifier_pb2.LAUNCH_PLAN,
            project=project,
            domain=domain,
            name=launch_plan.name,
            version=launch_plan.version,
        ),
    )


@lru_cache(maxsize=1024)
def plan_of(trigger_id: int) -> TriggerPlan:
    """The plan of a registered trigger. Launch plans and triggers never change, so it is read once per process."""
    trigger = Trigger.objects.select_related("launch_plan__workflow").get(pk=trigger_id)
    return plan_of_launch_plan(trigger.launch_plan, any_pb2.Any.FromString(bytes(trigger.condition)))
