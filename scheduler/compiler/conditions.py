"""Are the conditions of a branch node about inputs it has, and do both sides of a comparison agree in type?"""

from __future__ import annotations

from flyteidl.core import condition_pb2, literals_pb2, types_pb2, workflow_pb2

from artifacts.literals import describe_type, is_castable
from artifacts.literals.types import infer_scalar
from scheduler.compiler.bindings import Bound
from scheduler.compiler.errors import Complaints


def check_branch(node: workflow_pb2.Node, bound: Bound, complaints: Complaints) -> None:
    block = node.branch_node.if_else
    if not block.HasField("case"):
        complaints.add(node.id, "a branch without a condition")
        return
    for case in [block.case, *block.other]:
        if not case.HasField("then_node"):
            complaints.add(node.id, "a condition without a node to run")
        _check_expression(node.id, case.condition, bound, complaints)
    if block.WhichOneof("default") is None:
        complaints.add(node.id, "a branch without an else")


def _check_expression(
    node_id: str, expression: condition_pb2.BooleanExpression, bound: Bound, complaints: Complaints
) -> None:
    which = expression.WhichOneof("expr")
    if which == "conjunction":
        _check_expression(node_id, expression.conjunction.left_expression, bound, complaints)
        _check_expression(node_id, expression.conjunction.right_expression, bound, complaints)
        return
    if which is None:
        complaints.add(node_id, "an empty condition")
        return
    left = _operand(node_id, expression.comparison.left_value, bound, complaints)
    right = _operand(node_id, expression.comparison.right_value, bound, complaints)
    if left is not None and right is not None and not (is_castable(left, right) or is_castable(right, left)):
        complaints.add(node_id, f"a condition compares {describe_type(left)} with {describe_type(right)}")


def _operand(
    node_id: str, operand: condition_pb2.Operand, bound: Bound, complaints: Complaints
) -> types_pb2.LiteralType | None:
    """The operand's type, None when it is unknown or there was a complaint."""
    which = operand.WhichOneof("val")
    if which == "primitive":
        return infer_scalar(literals_pb2.Scalar(primitive=operand.primitive))
    if which == "scalar":
        return infer_scalar(operand.scalar)
    if which != "var" or not operand.var:
        complaints.add(node_id, "a comparison lacks a side")
        return None
    if operand.var not in bound.types:
        complaints.add(node_id, f'a condition uses "{operand.var}", which is not bound')
        return None
    return bound.types[operand.var]
