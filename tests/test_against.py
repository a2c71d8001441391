"""`benchmarks/against.py`: what it tells is right, and every peer says which releases it is."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
PEERS = sorted(
    path.stem for path in (BENCHMARKS / "peers").glob("*.py") if "\nPINS = " in path.read_text(encoding="utf-8")
)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Modules as the benchmarks import them."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def test_it_tells_the_median_of_the_rounds_ratios(module: Any) -> None:
    """A round in which both were slow counts no more than another."""
    ratio = module("peers.figures").ratio
    assert ratio([([10.0], [20.0]), ([1.0], [3.0]), ([100.0], [100.0])]) == 2.0
    assert ratio([([1.0, 2.0, 9.0], [1.0, 1.0, 7.0])]) == 0.5


def test_it_tells_both_sides_and_what_is_different_about_them(module: Any) -> None:
    told = module("peers.figures").table(
        "peer 1.0", {"chain": [([4.0], [1.0]), ([8.0], [4.0])]}, {"chain": "tasks share a process", "tasks": "unused"}
    )
    assert told.splitlines()[2] == "| chain of 20 no-op tasks, s | 6 | 2.5 | 0.38x | 2 | tasks share a process |"
    assert len(told.splitlines()) == 3


def test_it_tells_p95_where_there_are_samples_for_it(module: Any) -> None:
    told = module("peers.figures").told
    assert told([float(number) for number in range(1, 101)]) == "50.5 (p95 96)"
    assert told([1.0, 2.0, 3.0]) == "2"


def test_every_round_asks_the_other_side_first_and_keeps_sides_apart(module: Any) -> None:
    asked: list[str] = []

    def act(side: str, sample: float) -> Any:
        def one() -> list[float]:
            asked.append(side)
            return [sample]

        return one

    against = module("against")
    for number in range(2):
        found = against.in_turn({"chain": act("theirs", 1.0)}, {"chain": act("ours", 2.0)}, number)
        assert found == {"chain": ([1.0], [2.0])}
    assert asked == ["theirs", "ours", "ours", "theirs"]


@pytest.mark.parametrize("peer", PEERS)
def test_every_peer_is_pinned_and_can_be_asked_for(module: Any, peer: str) -> None:
    it, figures = module(f"peers.{peer}"), module("peers.figures")
    assert peer in module("against").PEERS
    assert all(re.fullmatch(r"[A-Za-z0-9-]+(\[[a-z,]+\])?==[0-9][0-9.]*", pin) for pin in it.PINS)
    assert set(it.REMARKS) <= set(it.MEASURES) <= set(figures.MEASURES)


def test_no_peer_is_a_requirement() -> None:
    names = {"mlflow", "prefect", "dagster", "apache-airflow"}
    for path in (*BENCHMARKS.parent.glob("requirements*"), BENCHMARKS.parent / "pyproject.toml"):
        found = set(re.findall(r"^([a-z0-9-]+)==", path.read_text(encoding="utf-8"), re.MULTILINE))
        assert not names & found, path.name
