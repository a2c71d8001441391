"""What programs import before they have anything to do, and commands that forks run."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import django
import pytest

from console.supervisor.processes import ROOT

pytestmark = pytest.mark.e2e  # programs of their own, each of which imports what it needs

_SETUP = "import sys, django; django.setup()\n"
_EXECUTOR = _SETUP + "import scheduler.management.commands.executor, scheduler.executors.local.factory\n"
_CLUSTER = _SETUP + "import scheduler.management.commands.executor, scheduler.executors.kubernetes.factory\n"


def imported(tmp_path: Path, program: str) -> set[str]:
    env = {**os.environ, "CAUSEWAY_HOME": str(tmp_path), "DJANGO_SETTINGS_MODULE": "console.settings"}
    command = [sys.executable, "-c", program + "print(*sys.modules)"]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("program", "not_needed"),
    [
        ("import sys, console.supervisor.up\n", {"django", "psycopg", "yaml", "celery"}),
        (_EXECUTOR, {"celery", "cryptography.exceptions", "console.admin", "console.urls", "yaml", "flytekit"}),
        (_CLUSTER, {"celery", "cryptography.exceptions", "console.admin", "google.auth", "flytekit"}),
    ],
    ids=["script/up", "executor", "executor of a cluster"],
)
def test_a_program_imports_what_it_needs_to_begin(program: str, not_needed: set[str], tmp_path: Path) -> None:
    assert not imported(tmp_path, program) & not_needed


def test_the_reader_of_kubeconfigs_gets_google_s_library_when_it_asks(tmp_path: Path) -> None:
    program = "from scheduler.executors.kubernetes import client\nfrom kubernetes.config import kube_config\n"
    asked = "assert kube_config.google_auth_available and kube_config.google.auth.default\nimport sys\n"
    assert "google.auth.transport.requests" in imported(tmp_path, _SETUP + program + asked)


_COMMANDS = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "console.settings"
from console.supervisor import managing

def settle():
    if os.environ.get("NO_ROOM"):
        raise OSError("no room")

print(managing.run([["version"], ["no_such_command"]], settle))
"""


@pytest.mark.parametrize("settles", [True, False])
def test_commands_run_in_forks_and_say_how_they_ended(settles: bool, tmp_path: Path) -> None:
    env = {**os.environ, "CAUSEWAY_HOME": str(tmp_path), "NO_ROOM": "" if settles else "1"}
    done = subprocess.run([sys.executable, "-c", _COMMANDS], env=env, cwd=ROOT, capture_output=True, text=True)
    (code, output, _), (bad, nothing, errors) = ast.literal_eval(done.stdout)
    assert (code, bad, nothing) == (0 if settles else 1, 1, "")
    assert output.startswith(django.__version__) if settles else output == ""
    assert ("no_such_command" if settles else "no room") in errors
