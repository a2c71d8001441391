"""Every template of `causeway init` is a program that runs as it is written, and says how."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from causeway.cli import main
from causeway.cli.init import about, templates, workflow_in
from click.testing import CliRunner

NAMES = list(templates())
WITH_SPARK = {"spark-etl"}  # run by tests/e2e/test_together.py, where Spark is


def init(*words: str) -> Any:
    return CliRunner().invoke(main, ["init", *words])


def loaded(folder: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"template_{name.replace('-', '_')}", folder / "workflow.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_they_are_listed_with_what_they_do() -> None:
    rows = json.loads(init("--list", "--json").stdout)
    assert {row["template"] for row in rows} >= {
        *("train-and-approve", "backtest", "champion", "batch-inference", "spark-etl"),
    }
    assert all(len(row["what"]) > 20 for row in rows)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WITH_SPARK])
def test_it_runs_as_it_is_written(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mine"
    assert init(name, str(folder)).exit_code == 0
    told = (folder / "README.md").read_text()
    module = loaded(folder, name)
    workflow = workflow_in((folder / "workflow.py").read_text())
    assert f"workflow.py {workflow}" in told and about((folder / "workflow.py").read_text()) in told
    monkeypatch.setattr("click.confirm", lambda *_, **__: True)  # the approval
    assert getattr(module, workflow)() is not None


def test_it_writes_over_nothing_and_knows_its_names(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("x = 1")
    refused = init(NAMES[0], str(tmp_path))
    assert refused.exit_code == 2 and "is not empty" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["own.py"]
    assert "there are backtest" in init("no-such", str(tmp_path / "x")).stderr
