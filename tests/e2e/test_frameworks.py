"""Types, checkpoints and reports with the newest releases of frameworks, each in an environment of its own.

Labs: some of them have gigabytes, so they run where CAUSEWAY_LABS=1 asks for them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.environments import environment

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        os.environ.get("CAUSEWAY_LABS") not in ("1", "all"), reason="a lab of large libraries: CAUSEWAY_LABS=1"
    ),
]

HERE = Path(__file__).parent / "frameworks"
SDK = Path(__file__).parents[2] / "sdk"
LABS = {
    "trees": ("xgboost_model", "keras_model", "frames", "arrays", "pandera_report"),
    "torch": ("torch_module", "torch_replicas", "lightning_training", "hugging_face"),
    "h2o": ("h2o_model",),  # with Java
    "expectations": ("great_expectations_report",),
}


@pytest.fixture(scope="module", params=LABS)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    name = str(request.param)
    return name, environment(HERE / f"{name}.txt", tmp_path_factory.mktemp(name) / "environment")


@pytest.fixture(autouse=True)
def with_java(lab: tuple[str, Path]) -> None:
    if lab[0] == "h2o" and shutil.which("java") is None:
        pytest.skip("H2O needs Java")


def test_what_frameworks_make_is_carried_kept_and_shown(lab: tuple[str, Path]) -> None:
    name, commands = lab
    for trip in LABS[name]:
        done = subprocess.run(
            [commands / "python", HERE / "trips.py", trip],
            env={**os.environ, "PYTHONPATH": str(SDK)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{trip}: {done.stderr[-3000:]}"
