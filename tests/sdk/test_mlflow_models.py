"""Versions as models of MLflow: what is written, and that it answers as MLflow asks. MLflow itself is asked by
tests/e2e/test_open_doors.py.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy
import pandas
import pytest
from causeway import mlflow_models
from causeway.client import CausewayError, Client
from causeway.version import Version
from sklearn.linear_model import LinearRegression  # type: ignore[import-untyped]


@pytest.fixture
def version(client: Client, tmp_path: Path) -> Version:
    joblib.dump(LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0]), tmp_path / "line.joblib")
    return client.create("line", file=tmp_path / "line.joblib", version="v1", kind="model")


def loaded(folder: Path) -> Any:
    """As MLflow does: the module of the model's own `code`, and the folder of its `data`."""
    told = json.loads((folder / "MLmodel").read_text())["flavors"]["python_function"]
    place = folder / told["code"] / f"{told['loader_module']}.py"
    spec = importlib.util.spec_from_file_location(told["loader_module"], place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module._load_pyfunc(str(folder / told["data"]))


def test_a_version_answers_as_mlflow_asks_and_says_which_it_is(version: Version, tmp_path: Path) -> None:
    folder = mlflow_models.write(version, tmp_path / "model", allow_pickle=True)
    model = loaded(folder)
    assert model.predict(numpy.array([[2.0], [3.0]])) == pytest.approx([4.0, 6.0])
    assert model.predict(pandas.DataFrame([[2.0]])) == pytest.approx([4.0])
    assert model.predict([[2.0]], {"version": True})["version"] == version.address
    assert json.loads((folder / "MLmodel").read_text())["metadata"] == {"causeway.version": version.address}


def test_its_module_needs_nothing_of_the_sdk(version: Version, tmp_path: Path) -> None:
    folder = mlflow_models.write(version, tmp_path / "model", allow_pickle=True)
    say = "import sys, causeway_model_forms; sys.exit('causeway' in sys.modules)"
    subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path[:0] = [{str(folder / 'code')!r}]; {say}"], check=True
    )


def test_a_model_of_mlflow_is_taken_as_it_is(client: Client, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "MLmodel").write_text("flavors: {}")
    made = client.create("made", directory=tmp_path / "made", version="v1", kind="model")
    folder = mlflow_models.write(made, tmp_path / "model")
    assert (folder / "MLmodel").read_text() == "flavors: {}" and not (folder / "code").exists()


def test_what_cannot_be_served_is_refused_before_it_is(version: Version, client: Client, tmp_path: Path) -> None:
    with pytest.raises(CausewayError, match="line@v1 is a pickle.*--allow-pickle"):
        mlflow_models.write(version, tmp_path / "one")
    with pytest.raises(CausewayError, match="not empty"):
        mlflow_models.write(version, tmp_path)
    (tmp_path / "a.bin").write_bytes(b"x")
    odd = client.create("odd", file=tmp_path / "a.bin", version="v1")
    with pytest.raises(CausewayError, match="nothing is known of models in the form of a.bin"):
        mlflow_models.write(odd, tmp_path / "two")
    with pytest.raises(CausewayError, match="is a plain value"):
        mlflow_models.write(client.create("number", 3, version="v1"), tmp_path / "three")


def test_the_command_says_where_it_is(version: Version, tmp_path: Path, causeway: Any) -> None:
    said = causeway("export", "mlflow-model", "line@v1", tmp_path / "model", "--allow-pickle", "--json")
    assert json.loads(said) == {"path": str(tmp_path / "model"), "version": "v1"}
