"""What commands say where nothing runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e  # programs of their own, each of which imports what it needs


@pytest.mark.parametrize("command", ["login_link", "create_token"])
def test_without_a_database_it_is_said_in_a_sentence(command: str, tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    (tmp_path / "static").mkdir()
    done = subprocess.run(
        [sys.executable, "manage.py", command],
        env=env | {"CAUSEWAY_HOME": str(tmp_path)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("the database does not answer (connection")
    assert len(done.stderr.splitlines()) == 1 and "script/up" in done.stderr
