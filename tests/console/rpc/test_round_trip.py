"""flytekit's own clients against the real processes: what a user of `pyflyte` and FlyteRemote does in a day."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from flytekit.exceptions.base import FlyteException
from flytekit.models.core.execution import WorkflowExecutionPhase
from flytekit.remote import FlyteRemote
from flytekit.remote.executions import FlyteWorkflowExecution

from tests.stack import RunningStack

pytestmark = pytest.mark.e2e

PROGRAM = """
from datetime import timedelta
from pathlib import Path
from typing import Tuple

from flytekit import Deck, LaunchPlan, approve, task, workflow
from flytekit.core.gate import wait_for_input
from flytekit.types.file import FlyteFile


@task
def double(number: int) -> int:
    return 2 * number


@task(enable_deck=True)
def write(text: str) -> FlyteFile:
    Deck("text", f"<b>{text}</b>")
    Path("out.txt").write_text(text)
    return FlyteFile("out.txt")


@task
def read(file: FlyteFile) -> str:
    return Path(file.download()).read_text()


@task
def refuse(number: int) -> int:
    if number:
        raise ValueError("not this number")
    return number


@workflow
def main(number: int, text: str = "hello") -> Tuple[int, str]:
    return double(number=double(number=number)), read(file=write(text=text))


@workflow
def outer(number: int) -> int:
    found, _ = main(number=number)
    return double(number=found)


@workflow
def failing(number: int) -> int:
    return refuse(number=number)


@workflow
def gated() -> int:
    extra = wait_for_input("extra", timeout=timedelta(hours=1), expected_type=int)
    return double(number=approve(extra, "release", timeout=timedelta(hours=1)))


plan = LaunchPlan.create("round_trip.plan", main, default_inputs={"number": 4}, fixed_inputs={"text": "fixed"})
"""


class Client:
    """pyflyte in a folder with the program, and a FlyteRemote."""

    def __init__(self, stack: RunningStack, folder: Path) -> None:
        self.stack, self.folder = stack, folder
        (folder / "round_trip.py").write_text(PROGRAM)
        self.remote = FlyteRemote(stack.flyte_config(), default_project="flytesnacks", default_domain="development")

    def pyflyte(self, *arguments: str) -> str:
        pyflyte = Path(sys.executable).with_name("pyflyte")
        command = [str(pyflyte), "-c", str(self.stack.flyte_config_file), *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def wait(self, execution: FlyteWorkflowExecution) -> FlyteWorkflowExecution:
        step = timedelta(milliseconds=200)
        return self.remote.wait(execution, poll_interval=step, timeout=timedelta(seconds=60))

    def run(self, name: str, **inputs: object) -> FlyteWorkflowExecution:
        return self.wait(self.remote.execute(self.remote.fetch_launch_plan(name=name), inputs))


@pytest.fixture(scope="module")
def client(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Client:
    client = Client(stack, tmp_path_factory.mktemp("round-trip"))
    scope = ("-p", "flytesnacks", "-d", "development")
    assert "Successfully registered" in client.pyflyte("register", *scope, "round_trip.py")
    return client


def _eventually(found: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not found():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def test_it_runs_what_pyflyte_run_uploads(client: Client) -> None:
    scope = ("-p", "flytesnacks", "-d", "development")
    client.pyflyte("run", "--remote", *scope, "--name", "by-pyflyte", "round_trip.py", "main", "--number", "3")
    done = client.wait(client.remote.fetch_execution(name="by-pyflyte"))
    assert done.outputs["o0"] == 12 and done.outputs["o1"] == "hello"


def test_it_shows_the_nodes_of_a_run_with_their_values_and_logs(client: Client) -> None:
    done = client.run("round_trip.main", number=5, text="river")
    nodes = done.node_executions
    assert set(nodes) == {"start-node", "n0", "n1", "n2", "n3", "end-node"}
    assert nodes["n1"].inputs == {"number": 10} and nodes["n1"].outputs == {"o0": 20}
    (attempt,) = nodes["n0"].task_executions
    assert attempt.closure.logs and attempt.outputs == {"o0": 10}
    deck = next(node for node in nodes.values() if node.closure.deck_uri)
    page = client.remote.get(f"flyte://v1/flytesnacks/development/{done.id.name}/{deck.id.node_id}/d")
    assert b"river" in page


def test_it_shows_what_happened_inside_a_sub_workflow(client: Client) -> None:
    done = client.run("round_trip.outer", number=1)
    inner = done.node_executions["n0"].subworkflow_node_executions
    assert done.outputs["o0"] == 8
    assert {"n0-0-n0", "n0-0-n1"} <= set(inner) and inner["n0-0-n1"].outputs == {"o0": 4}


def test_it_runs_a_launch_plan_and_a_single_task(client: Client) -> None:
    done = client.run("round_trip.plan")
    assert done.inputs == {"number": 4, "text": "fixed"} and done.outputs["o1"] == "fixed"
    task = client.remote.fetch_task(name="round_trip.double")
    assert client.wait(client.remote.execute(task, {"number": 21})).outputs["o0"] == 42


def test_it_tells_the_users_error(client: Client) -> None:
    done = client.run("round_trip.failing", number=1)
    assert done.closure.phase == WorkflowExecutionPhase.FAILED
    assert "not this number" in done.error.message
    again = client.wait(client.remote.fetch_execution(name=client.remote.client.recover_execution(done.id).name))
    assert again.closure.phase == WorkflowExecutionPhase.FAILED


def test_it_waits_for_signals_and_approvals(client: Client) -> None:
    remote = client.remote
    started = remote.execute(remote.fetch_launch_plan(name="round_trip.gated"), {})
    name = started.id.name
    _eventually(lambda: [s.id.signal_id for s in remote.list_signals(name)] == ["extra"], "no signal")
    with pytest.raises(FlyteException):
        remote.set_signal("extra", name, "three")
    remote.set_signal("extra", name, 3)
    _eventually(lambda: len(remote.list_signals(name)) == 2, "no approval")
    remote.approve("release", name)
    assert client.wait(started).outputs["o0"] == 6


def test_it_fails_what_is_rejected_and_aborts_what_is_terminated(client: Client) -> None:
    remote = client.remote
    plan = remote.fetch_launch_plan(name="round_trip.gated")
    rejected = remote.execute(plan, {})
    remote.set_signal("extra", rejected.id.name, 3)
    remote.reject("release", rejected.id.name)
    assert client.wait(rejected).closure.phase == WorkflowExecutionPhase.FAILED
    terminated = remote.execute(plan, {})
    remote.terminate(terminated, "not needed")
    ended = client.wait(terminated)
    assert ended.closure.phase == WorkflowExecutionPhase.ABORTED
    assert ended.closure.abort_metadata.cause == "not needed"


def test_it_uploads_a_file_once_and_gives_it_back(client: Client) -> None:
    import requests

    path = client.folder / "data.txt"
    path.write_text("x" * 1000)
    places = {client.remote.upload_file(path)[1] for _ in range(2)}
    assert len(places) == 1
    link = client.remote.client.get_download_signed_url(places.pop()).signed_url
    assert requests.get(link, timeout=10).text == "x" * 1000


def test_it_fetches_what_is_there_by_the_command_line(client: Client) -> None:
    scope = ("-p", "flytesnacks", "-d", "development")
    client.pyflyte("launchplan", *scope, "--activate", "round_trip.plan", _version(client))
    assert client.remote.fetch_active_launchplan(name="round_trip.plan") is not None
    client.pyflyte("launchplan", *scope, "--deactivate", "round_trip.plan", _version(client))
    assert client.remote.fetch_active_launchplan(name="round_trip.plan") is None
    assert "round_trip.main" in client.pyflyte("get", "launchplan", *scope)


def _version(client: Client) -> str:
    return str(client.remote.fetch_launch_plan(name="round_trip.plan").id.version)


def test_it_measures_an_execution(client: Client) -> None:
    done = client.run("round_trip.outer", number=2)
    span = client.remote.get_execution_metrics(done.id)._span
    assert span.workflow_id.name == done.id.name and len(span.spans) >= 3


def test_it_answers_within_a_moment_of_now(client: Client) -> None:
    recent = client.remote.recent_executions(limit=1)[0]
    assert abs(datetime.now(timezone.utc) - recent.closure.created_at) < timedelta(minutes=10)
