"""What a launch plan, workflow or task takes and gives, and literal maps as JSON, for pages and the API."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flyteidl.admin import launch_plan_pb2, task_pb2, workflow_pb2
from flyteidl.core import artifact_id_pb2, interface_pb2, literals_pb2, types_pb2

from artifacts.exceptions import InvalidArgument
from artifacts.literals import carry, describe_type, from_json, from_text, to_json
from artifacts.models import ArtifactVersion
from artifacts.store import store
from scheduler.models import LaunchPlan, Task, Workflow


@dataclass(frozen=True)
class Input:
    """One input: required, or with a default value, or with a query that finds an artifact version at launch."""

    name: str
    type: types_pb2.LiteralType
    description: str = ""
    required: bool = True
    default: literals_pb2.Literal | None = None
    query: artifact_id_pb2.ArtifactQuery | None = None

    @property
    def type_text(self) -> str:
        return describe_type(self.type)

    @property
    def shape(self) -> str:
        """What has to be uploaded for it: a file, a directory or a dataset; empty for plain values."""
        kinds = [self.type, *self.type.union_type.variants]
        return next((shape for kind in kinds if (shape := _shape(kind))), "")

    @property
    def default_json(self) -> Any:
        return to_json(self.default, self.type, exact=True) if self.default is not None else None


def _shape(literal_type: types_pb2.LiteralType) -> str:
    if literal_type.HasField("structured_dataset_type"):
        return "dataset"
    if not literal_type.HasField("blob"):
        return ""
    return "directory" if literal_type.blob.dimensionality == types_pb2.BlobType.MULTIPART else "file"


def inputs_of(entity: LaunchPlan | Workflow | Task) -> dict[str, Input]:
    """What a launch may give, by name; inputs a launch plan fixes are left out."""
    if isinstance(entity, LaunchPlan):
        closure = launch_plan_pb2.LaunchPlanClosure.FromString(bytes(entity.closure))
        return {name: _parameter(name, each) for name, each in sorted(closure.expected_inputs.parameters.items())}
    variables = typed_interface(entity).inputs.variables
    return {name: Input(name, each.type, each.description) for name, each in sorted(variables.items())}


def _fixed(entity: LaunchPlan | Workflow | Task) -> set[str]:
    if not isinstance(entity, LaunchPlan):
        return set()
    return set(launch_plan_pb2.LaunchPlanSpec.FromString(bytes(entity.spec)).fixed_inputs.literals)


def outputs_of(entity: LaunchPlan | Workflow | Task) -> dict[str, types_pb2.LiteralType]:
    if isinstance(entity, LaunchPlan):
        closure = launch_plan_pb2.LaunchPlanClosure.FromString(bytes(entity.closure))
        variables = closure.expected_outputs.variables
    else:
        variables = typed_interface(entity).outputs.variables
    return {name: each.type for name, each in sorted(variables.items())}


def typed_interface(entity: Workflow | Task) -> interface_pb2.TypedInterface:
    if isinstance(entity, Workflow):
        workflow = workflow_pb2.WorkflowClosure.FromString(bytes(entity.closure))
        return workflow.compiled_workflow.primary.template.interface
    return task_pb2.TaskClosure.FromString(bytes(entity.closure)).compiled_task.template.interface


def _parameter(name: str, parameter: interface_pb2.Parameter) -> Input:
    behavior = parameter.WhichOneof("behavior")
    return Input(
        name,
        parameter.var.type,
        parameter.var.description,
        required=behavior in (None, "required") and not (behavior is None and _takes_none(parameter.var.type)),
        default=parameter.default if behavior == "default" else None,
        query=parameter.artifact_query if behavior == "artifact_query" else None,
    )


def _takes_none(literal_type: types_pb2.LiteralType) -> bool:
    return any(variant.simple == types_pb2.NONE for variant in literal_type.union_type.variants)


def literals_for(
    entity: LaunchPlan | Workflow | Task,
    values: Mapping[str, Any],
    versions: Mapping[str, ArtifactVersion],
    texts: Mapping[str, str],
    earlier: Mapping[str, literals_pb2.Literal] | None = None,
) -> literals_pb2.LiteralMap:
    """JSON values, artifact versions and typed texts as the inputs of a launch. InvalidArgument names the input.

    What is missing is left to the launch, which knows the defaults; and so is a value that is given as it is shown of
    the default, or of `earlier`, the inputs of what is launched again: that literal may say more than JSON can.
    """
    inputs = inputs_of(entity)
    given = Counter([*values, *versions, *texts])
    unknown = sorted(set(given) - set(inputs))
    if unknown and (fixed := sorted(set(unknown) & _fixed(entity))):
        raise InvalidArgument(f"the launch plan fixes {', '.join(fixed)}: that cannot be overridden")
    if unknown:
        raise InvalidArgument(f"no input {', '.join(unknown)}; inputs: {', '.join(inputs) or 'none'}")
    twice = sorted(name for name, count in given.items() if count > 1)
    if twice:
        raise InvalidArgument(f"{', '.join(twice)}: give one of a value, a text and an artifact version")
    literals = {}
    for name, value in values.items():
        literal = _given(inputs[name], value, earlier)
        if literal is not None:
            literals[name] = literal
    literals |= {name: from_text(text, inputs[name].type, name=name) for name, text in texts.items()}
    for name, version in versions.items():
        literals[name] = carry(literals_pb2.Literal.FromString(bytes(version.literal)), version.pk)
    return literals_pb2.LiteralMap(literals=literals)


def _given(
    wanted: Input, value: Any, earlier: Mapping[str, literals_pb2.Literal] | None
) -> literals_pb2.Literal | None:
    """None for what the launch fills in."""
    if earlier is not None and wanted.name in earlier and _is_shown(earlier[wanted.name], wanted, value):
        return None
    if wanted.default is not None and _is_shown(wanted.default, wanted, value):
        return None if earlier is None else wanted.default
    return from_json(value, wanted.type, name=wanted.name)


def _is_shown(literal: literals_pb2.Literal, wanted: Input, value: Any) -> bool:
    """Whether the value is what is shown of the literal, its numbers of the same kind."""
    shown = to_json(literal, wanted.type, exact=True)
    return type(shown) is type(value) and json.dumps(shown) == json.dumps(value)


def load_literals(uri: str) -> literals_pb2.LiteralMap:
    """The literal map at a URI; empty where nothing was written yet. Raises NotFound for one that is gone."""
    return literals_pb2.LiteralMap.FromString(store().get(uri)) if uri else literals_pb2.LiteralMap()


def literals_json(
    literals: literals_pb2.LiteralMap, types: Mapping[str, types_pb2.LiteralType] | None = None
) -> dict[str, Any]:
    """As REST shows them: what it shows, it takes (docs/reference/values.md)."""
    types = types or {}
    return {name: to_json(value, types.get(name), exact=True) for name, value in sorted(literals.literals.items())}
