"""What a program says of a version: which outputs are an answer, and what they come to. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flyteidl.core import types_pb2

from artifacts.exceptions import InvalidArgument
from artifacts.governance.checks import read_report, verdict_of
from artifacts.governance.kinds import Verdict, failed
from artifacts.literals import describe_type
from artifacts.measures import is_number

Types = Mapping[str, types_pb2.LiteralType]

BOOLEAN, NUMBER, TEXT, STRUCTURE = "a boolean", "a number", "a text", "a structure"
WORDS = {"passed": BOOLEAN, "value": NUMBER, "message": TEXT, "numbers": STRUCTURE, "evidence": STRUCTURE}
_SIMPLE = {
    types_pb2.BOOLEAN: BOOLEAN,
    types_pb2.INTEGER: NUMBER,
    types_pb2.FLOAT: NUMBER,
    types_pb2.STRING: TEXT,
    types_pb2.STRUCT: STRUCTURE,
}
ALLOWED = (
    "one boolean; one number, where the check has bounds; one structure (a dict, a dataclass) with `passed` or "
    "`value`; or outputs of these names: " + ", ".join(f"{name} ({kind})" for name, kind in WORDS.items())
)


def _kind(found: types_pb2.LiteralType) -> str:
    if found.HasField("union_type"):
        kinds = {
            _kind(one) for one in found.union_type.variants if one.simple != types_pb2.NONE or one.HasField("blob")
        }
        return kinds.pop() if len(kinds) == 1 else ""
    if found.HasField("map_value_type"):
        return STRUCTURE
    return _SIMPLE.get(found.simple, "") if found.WhichOneof("type") == "simple" else ""


def _alone(outputs: Types) -> str:
    """The name of the one output that is the whole answer; empty where outputs are told by their names."""
    names = list(outputs)
    return names[0] if len(names) == 1 and names[0] not in WORDS else ""


def check_answer(outputs: Types, *, bounded: bool) -> None:
    """InvalidArgument where the outputs cannot say whether a version passes; what is allowed with it.

    `bounded`: the check has bounds, so a value has to be among them.
    """
    alone = _alone(outputs)
    kinds = {name: _kind(found) for name, found in outputs.items()}
    if alone:
        if kinds[alone] == STRUCTURE or kinds[alone] == (NUMBER if bounded else BOOLEAN):
            return
        wants = "a number for the check's bounds" if bounded else "whether it passes"
        raise InvalidArgument(f"it returns {describe_type(outputs[alone])}, and not {wants}; allowed are: {ALLOWED}")
    for name in outputs.keys() & WORDS.keys():
        if kinds[name] != WORDS[name]:
            raise InvalidArgument(
                f"its output '{name}' is {describe_type(outputs[name])}, not {WORDS[name]}; allowed are: {ALLOWED}"
            )
    needed = "value" if bounded else "passed"
    if needed not in outputs:
        there = ", ".join(sorted(outputs)) or "nothing"
        raise InvalidArgument(f"it returns {there}, and no '{needed}'; allowed are: {ALLOWED}")


def verdict_from(check: str, outputs: Types, values: Mapping[str, Any], bounds: Mapping[str, Any]) -> Verdict:
    """What the values say, by the check's bounds if it has any; failed, with what is wrong, where they say nothing.

    Numbers under other names are kept among the verdict's.
    """
    bounded = {name: bounds[name] for name in ("at_least", "at_most") if name in bounds}
    try:
        said = read_report(check, _given(outputs, values))
        if bounded and said.passed:  # the value decides: a program may still say by itself that it did not pass
            said = replace(said, passed=None)
        return verdict_of(said, bounded)
    except InvalidArgument as error:
        return failed(f"its program gave no answer that can be read: {error.message}")


def _given(outputs: Types, values: Mapping[str, Any]) -> Any:
    alone = _alone(outputs)
    if alone:
        value = values.get(alone)
        kind = _kind(outputs[alone])
        return value if kind == STRUCTURE else {"passed" if kind == BOOLEAN else "value": value}
    found = {name: values[name] for name in WORDS if values.get(name) is not None}
    beside = {name: value for name, value in values.items() if name not in WORDS and is_number(value)}
    return found | {"numbers": {**beside, **found.get("numbers", {})}}
