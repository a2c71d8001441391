"""What the made-up executions were launched with, the same for all of a launch plan: one can launch them again."""

from __future__ import annotations

from collections.abc import Callable

from flyteidl.admin import launch_plan_pb2
from flyteidl.core import literals_pb2, types_pb2

from artifacts.literals import from_json
from console.filling.company import Plan
from scheduler.models import LaunchPlan

LONG = 20  # of lists


def inputs_of(row: LaunchPlan, plan: Plan, region: str, data_of: Callable[[str], str]) -> bytes:
    """What it fixes, its defaults, and for the rest the region, and the data of the artifacts that it uses."""
    fixed = launch_plan_pb2.LaunchPlanSpec.FromString(bytes(row.spec)).fixed_inputs.literals
    expected = launch_plan_pb2.LaunchPlanClosure.FromString(bytes(row.closure)).expected_inputs.parameters
    used = {name: thing for thing, name in plan.uses}
    found = literals_pb2.LiteralMap(literals=dict(fixed))
    for name, parameter in expected.items():
        if parameter.HasField("default"):
            found.literals[name].CopyFrom(parameter.default)
        else:
            given = data_of(used[name]) if name in used else region
            found.literals[name].CopyFrom(from_json(_value(parameter.var.type, given), parameter.var.type, name=name))
    return found.SerializeToString(deterministic=True)


def _value(wanted: types_pb2.LiteralType, text: str) -> object:
    if wanted.HasField("collection_type"):
        return [_value(wanted.collection_type, text)] * LONG
    return {types_pb2.INTEGER: 1, types_pb2.FLOAT: 0.5, types_pb2.BOOLEAN: True}.get(wanted.simple, text)
