"""flytekit's connector service beside a whole Causeway: programs of users, and either side killed in the middle."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.flytekit_user import DOMAIN, PROJECT, FlytekitUser
from tests.scheduler.executors.connectors.conftest import Serving, served
from tests.stack import RunningStack, running_stack

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def service() -> Iterator[Serving]:
    yield from served()


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("yard")


@pytest.fixture(scope="module")
def user(service: Serving, yard: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlytekitUser]:
    """With flytekit's own service, and the one that `script/up --connectors` starts."""
    folder = tmp_path_factory.mktemp("connectors")
    os.environ["YARD"] = str(yard)
    with running_stack(
        folder / "home", connectors=sys.executable, CAUSEWAY_CONNECTORS=f"yard={service.endpoint}"
    ) as stack:
        user = FlytekitUser(stack, folder / "programs")
        assert "Successfully registered" in user.register("yard", "v1")
        yield user
    del os.environ["YARD"]


def until(happened: Callable[[], Any], seconds: float = 60) -> Any:
    due = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < due, "it did not happen"
        time.sleep(0.1)
    return found


def orders(yard: Path, name: str) -> list[str]:
    path = yard / "orders"
    return [line for line in path.read_text().splitlines() if line.endswith(f" {name}")] if path.exists() else []


def attempt(stack: RunningStack, name: str, node: str = "n0") -> dict[str, Any]:
    """The newest, as REST tells it."""
    url = f"{stack.http_url}/api/v1/executions/{PROJECT}/{DOMAIN}/{name}/nodes/{node}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {stack.admin_token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            attempts = json.load(answer)["newest_attempts"]
    except urllib.error.HTTPError:
        return {}  # the node has not begun
    return dict(attempts[0]) if attempts else {}


def executor(stack: RunningStack) -> psutil.Process:
    parent = psutil.Process(stack.pids()["executor"])
    return next(child for child in parent.children() if "connectors" in child.cmdline())


def test_a_job_runs_and_its_outputs_go_on_and_are_published(user: FlytekitUser, yard: Path) -> None:
    run = user.launch("yard.flows.argo_wf", {"text": "mast"})
    running = until(lambda: (found := attempt(user.stack, run.id.name)).get("started_at") and found)
    assert running["log_links"] == {"Yard": "https://yard.example/argo"}
    assert (running["connector"], running["custom_info"]) == ("yard", {"hull": "argo", "weight": 7})
    assert running["reason"] in ("", "under construction")
    (yard / "argo.done").touch()
    assert user.outputs("yard.flows.argo_wf", run) == ("launched mast",)
    (seen,) = user.remote.client.list_task_executions_paginated(run_node(user, run))[0]
    assert [one.name for one in seen.closure.logs] == ["Yard"]
    assert orders(yard, "argo") == ["create argo"]
    url = f"{user.stack.http_url}/api/v1/artifacts/{PROJECT}/{DOMAIN}/ship/versions"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {user.stack.admin_token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert len(json.load(answer)["results"]) == 1


def run_node(user: FlytekitUser, run: Any) -> Any:
    user.remote.sync_execution(run, sync_nodes=True)
    return run.node_executions["n0"].id


def test_one_call_that_is_the_work(user: FlytekitUser, yard: Path) -> None:
    assert user.outputs("yard.flows.rope_wf", user.launch("yard.flows.rope_wf")) == ("sold rope",)


def test_a_sensor_waits_for_a_file(user: FlytekitUser, open_folder: Path) -> None:
    waited = open_folder / "arrived.txt"
    run = user.launch("yard.flows.sensor_wf", {"path": str(waited)})
    until(lambda: attempt(user.stack, run.id.name).get("started_at"))
    assert attempt(user.stack, run.id.name)["connector"] in ("here", "yard")
    waited.touch()
    assert user.outputs("yard.flows.sensor_wf", run) == ("launched it",)


def test_a_type_that_no_connector_knows_says_so(user: FlytekitUser) -> None:
    error = user.error(user.launch("yard.flows.nautilus_wf"))
    assert error.code == "NoExecutor" and "'submarine'" in error.message


def test_neither_side_runs_anything_twice_when_both_are_killed(
    user: FlytekitUser, service: Serving, yard: Path
) -> None:
    run = user.launch("yard.flows.beagle_wf")
    until(lambda: attempt(user.stack, run.id.name).get("started_at"))
    executor(user.stack).kill()
    service.kill()
    told = until(lambda: "ConnectorUnavailable" in attempt(user.stack, run.id.name).get("reason", ""))
    assert told
    service.start()
    (yard / "beagle.done").touch()
    assert len(user.outputs("yard.flows.beagle_wf", run)) == 1
    assert orders(yard, "beagle") == ["create beagle"]


def test_what_is_launched_while_a_service_is_down_waits_and_says_so(
    user: FlytekitUser, service: Serving, yard: Path
) -> None:
    service.kill()
    time.sleep(3)  # found out by asking it
    run = user.launch("yard.flows.calypso_wf")
    waiting = until(lambda: (found := attempt(user.stack, run.id.name)).get("waiting") and found)["waiting"]
    assert waiting["code"] == "ConnectorUnavailable" and service.endpoint in waiting["message"]
    service.start()
    until(lambda: attempt(user.stack, run.id.name).get("started_at"))
    user.remote.terminate(run, "enough")
    user.wait(run)
    until(lambda: orders(yard, "calypso") == ["create calypso", "delete calypso"])
