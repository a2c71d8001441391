"""A signal of every type that `wait_for_input` can ask for, through Flyte's SignalService and through REST."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any

import pytest
from flytekit import wait_for_input, workflow
from flytekit.exceptions.base import FlyteException
from flytekit.remote import FlyteRemote
from rest_framework.test import APIClient

from artifacts.literals import to_json
from scheduler.models import Gate, NodeExecution
from scheduler.shell import data
from tests.scheduler.driving import Driver, start, workflow_of


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Size:
    width: int
    label: str


NOON = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)
# the type, what Python and JSON say, what neither may say, and the type's name in the refusal
TYPES: list[tuple[Any, Any, Any, Any, str]] = [
    (int, 7, 7, "seven", "int"),
    (float, 1.5, 1.5, "much", "float"),
    (str, "Ægir", "Ægir", {"a": 1}, "str"),
    (bool, True, True, "perhaps", "bool"),
    (datetime, NOON, "2026-01-02T12:00:00Z", "noon", "datetime"),
    (timedelta, timedelta(minutes=5), "5m", "while", "duration"),
    (dict, {"a": [1]}, {"a": [1]}, 4, "struct"),
    (list[int], [1, 2], [1, 2], ["one"], "list[int]"),
    (dict[str, float], {"a": 0.5}, {"a": 0.5}, {"a": "half"}, "dict[str, float]"),
    (Size, Size(3, "wide"), {"width": 3, "label": "wide"}, 4, "Size"),
    (Colour, Colour.BLUE, "blue", "green", "enum(red, blue)"),
    (int | None, 4, 4, {"a": 1}, "int | none"),
    (int | None, None, None, [3], "int | none"),
]
_names = itertools.count()
IDS = [f"{getattr(each[0], '__name__', 'union')}-{index}" for index, each in enumerate(TYPES)]


@pytest.mark.parametrize("door", ["grpc", "rest"])
@pytest.mark.parametrize(("python_type", "value", "as_json", "wrong", "described"), TYPES, ids=IDS)
def test_it_takes_a_value_of_the_type_and_no_other(
    remote: FlyteRemote, door: str, python_type: Any, value: Any, as_json: Any, wrong: Any, described: str
) -> None:
    def asking() -> None:
        wait_for_input("answer", timeout=timedelta(hours=1), expected_type=python_type)

    asking.__name__ = f"asking_{next(_names)}"  # flytekit keeps a default launch plan for each name
    execution = start(workflow_of(workflow(asking)))
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {token()}")
    url = f"/api/v1/executions/{execution.key}/signals/answer"
    if door == "grpc":
        with pytest.raises(FlyteException) as refused:
            remote.set_signal("answer", execution.name, wrong, python_type=type_of(wrong))
        said = str(refused.value)
    else:
        response = api.post(url, {"value": wrong}, format="json")
        assert response.status_code == 400
        said = response.json()["detail"]
    assert "answer" in said and described in said
    assert not Gate.objects.exists()
    if door == "grpc":
        remote.set_signal("answer", execution.name, value, python_type=python_type)
    else:
        assert api.post(url, {"value": as_json}, format="json").status_code == 200
    Driver().run(execution)
    node = NodeExecution.objects.get(execution=execution, node_id="n0")
    (literal,) = data.read(node.output_uri).literals.values()
    assert to_json(literal) == as_json or described in ("datetime", "duration")


def type_of(wrong: Any) -> Any:
    return list[type(wrong[0])] if isinstance(wrong, list) else type(wrong)  # type: ignore[misc]


def token() -> str:
    from console.accounts import access, tokens

    return tokens.create(access.local_admin(), name="rest")[1]
