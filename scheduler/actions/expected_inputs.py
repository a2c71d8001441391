"""What has to be given to launch a plan: the workflow's inputs, less the fixed ones, with the plan's defaults."""

from __future__ import annotations

import re

from flyteidl.admin import common_pb2, launch_plan_pb2
from flyteidl.core import interface_pb2

from artifacts.exceptions import InvalidArgument
from artifacts.literals import check_literal, describe_type, is_castable

MAX_LABELS = 16
_LABEL_NAME = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_LABEL_KEY = re.compile(rf"([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_LABEL_NAME}")
_LABEL_VALUE = re.compile(rf"({_LABEL_NAME})?")


def expected_inputs(
    inputs: interface_pb2.VariableMap, spec: launch_plan_pb2.LaunchPlanSpec
) -> interface_pb2.ParameterMap:
    """Raises InvalidArgument for a default or fixed input that the workflow does not have, or of another type."""
    variables = inputs.variables
    known = ", ".join(sorted(variables)) or "none"
    for name, parameter in spec.default_inputs.parameters.items():
        _check_parameter(name, parameter)
        if name not in variables:
            raise InvalidArgument(f"unexpected default_input {name}; the workflow's inputs are: {known}")
        if not is_castable(parameter.var.type, variables[name].type):
            raise InvalidArgument(
                f"invalid default_input wrong type {name}, expected {describe_type(variables[name].type)}, "
                f"got {describe_type(parameter.var.type)} instead"
            )
    for name, literal in spec.fixed_inputs.literals.items():
        if name not in variables:
            raise InvalidArgument(f"unexpected fixed_input {name}; the workflow's inputs are: {known}")
        check_literal(literal, variables[name].type, name=name)
    expected = interface_pb2.ParameterMap()
    for name, variable in variables.items():
        if name in spec.default_inputs.parameters:
            expected.parameters[name].CopyFrom(spec.default_inputs.parameters[name])
        elif name not in spec.fixed_inputs.literals:
            required = interface_pb2.Variable(type=variable.type, description=variable.description)
            expected.parameters[name].CopyFrom(interface_pb2.Parameter(var=required, required=True))
    return expected


def _check_parameter(name: str, parameter: interface_pb2.Parameter) -> None:
    if not name:
        raise InvalidArgument("missing key in default_inputs")
    if parameter.var.type.WhichOneof("type") is None:
        raise InvalidArgument(f"the variable of parameter {name} in default_inputs is missing, or has no type")
    behavior = parameter.WhichOneof("behavior")
    if behavior is None or (behavior == "required" and not parameter.required):
        raise InvalidArgument(
            f"Invalid variable {name} in default_inputs - variable has neither default, nor is required. "
            "One must be specified"
        )
    if behavior == "default":
        check_literal(parameter.default, parameter.var.type, name=name)


def check_labels(labels: common_pb2.Labels) -> None:
    """Kubernetes' rules, as flyteadmin's: executions of the launch plan carry them on their pods."""
    if len(labels.values) > MAX_LABELS:
        raise InvalidArgument(f"labels map cannot exceed {MAX_LABELS} entries")
    for key, value in labels.values.items():
        if not _LABEL_KEY.fullmatch(key):
            raise InvalidArgument(f"invalid label key [{key}]")
        if len(value) > 63 or not _LABEL_VALUE.fullmatch(value):
            raise InvalidArgument(f"invalid label value [{value}]")
