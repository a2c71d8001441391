"""`causeway launch` against the real API."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from flyteidl.core import literals_pb2
from flytekit import task, workflow
from flytekit.types.file import FlyteFile

from artifacts.literals import to_json
from artifacts.store import store
from scheduler.models import Execution
from tests.flyte import register_all
from tests.sdk.conftest import Command

PLAN = "tests.sdk.test_cli_launches.typed"


@task
def show(flag: str, on: bool, count: int, xs: list[float], when: datetime, data: FlyteFile) -> None: ...


@workflow
def typed(
    flag: str = "x",
    on: bool = False,
    count: int = 1,
    xs: list[float] = [],  # noqa: B006 - flytekit's way to give a default
    when: datetime = datetime(2026, 1, 1),  # noqa: DTZ001
    data: FlyteFile = "s3://bucket/default",  # type: ignore[assignment]
) -> None:
    show(flag=flag, on=on, count=count, xs=xs, when=when, data=data)


@pytest.fixture
def registered(causeway: Command) -> None:
    register_all(typed)


def launched(causeway: Command, *inputs: str) -> dict[str, Any]:
    causeway("launch", PLAN, *(argument for each in inputs for argument in ("-i", each)))
    stored = store().get(Execution.objects.latest("pk").inputs_uri)
    literals = literals_pb2.LiteralMap.FromString(stored).literals
    return {name: to_json(literal) for name, literal in literals.items()}


@pytest.mark.usefixtures("registered")
def test_the_types_of_the_launch_plan_say_how_inputs_are_read(causeway: Command) -> None:
    found = launched(causeway, "flag=true", "on=true", "count=5", "xs=[1, 0.5]", "when=2026-05-17T12:00")
    assert (found["flag"], found["on"], found["count"], found["xs"]) == ("true", True, 5, [1.0, 0.5])
    assert found["when"] == "2026-05-17T12:00:00Z"
    assert launched(causeway, "flag=a=b")["flag"] == "a=b"


@pytest.mark.usefixtures("registered")
def test_a_file_of_this_machine_is_uploaded(causeway: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rides.csv").write_text("a,b\n")
    monkeypatch.chdir(tmp_path)
    found = launched(causeway, "data=rides.csv", "flag=rides.csv")
    assert store().get(found["data"]["uri"]) == b"a,b\n"
    assert found["flag"] == "rides.csv"
    assert "takes a file" in causeway("launch", PLAN, "-i", f"data={tmp_path}", exit_code=2)


@pytest.mark.usefixtures("registered")
def test_it_says_what_does_not_fit_and_launches_nothing(causeway: Command) -> None:
    for given, why in {
        "count=many": "input \"count\" expects int: got str 'many'",
        "data=nowhere.csv": "neither a URI nor an absolute path",
        "xs=1,2": "expects list[float]: not JSON",
        "other=1": "no input other; inputs: count, data, flag",
    }.items():
        assert why in causeway("launch", PLAN, "-i", given, exit_code=1)
    assert not Execution.objects.exists()
