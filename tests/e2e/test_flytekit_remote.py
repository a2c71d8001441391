"""FlyteRemote, unmodified, against the whole set-up."""

from __future__ import annotations

import re
import time
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import flytekit
import pytest
from flyteidl.core.execution_pb2 import NodeExecution, WorkflowExecution
from flytekit import LaunchPlan
from flytekit.configuration import Config, ImageConfig, SerializationSettings
from flytekit.core.options import Options
from flytekit.exceptions.user import FlyteEntityNotExistException, FlyteInvalidInputException
from flytekit.models.common import Annotations, Labels
from flytekit.models.core.identifier import Identifier, ResourceType
from flytekit.remote import FlyteRemote, FlyteWorkflowExecution

from tests.e2e.flytekit_user import DOMAIN, PROJECT, FlytekitUser

pytestmark = pytest.mark.e2e


def eventually(read: Any, seconds: float = 60.0) -> Any:
    """What `read` returns once that is true."""
    deadline = time.monotonic() + seconds
    while not (found := read()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)
    return found


def signals(user: FlytekitUser, run: FlyteWorkflowExecution, count: int) -> set[str]:
    def waiting() -> set[str]:
        found = {signal.id.signal_id for signal in user.remote.list_signals(run.id.name)}
        return found if len(found) >= count else set()

    return set(eventually(waiting))


def test_it_shows_the_nodes_of_an_execution(user: FlytekitUser) -> None:
    run = user.wait(user.launch("isles.flows.nested_wf", {"x": 3}))
    user.remote.sync_execution(run, sync_nodes=True)
    nodes = {key: node for key, node in run.node_executions.items() if "start" not in key and "end" not in key}
    assert all(node.closure.phase == NodeExecution.SUCCEEDED for node in nodes.values())
    assert set(nodes) == {"n0", "n1", "n2"}
    double = nodes["n1"]
    assert double.inputs == {"x": 3} and double.outputs == {"o0": 6}
    assert [task.closure.phase for task in double.task_executions] == [3]
    below = nodes["n0"].workflow_executions or nodes["n0"].subworkflow_node_executions
    assert below, "the sub-workflow shows its nodes"


def test_it_shows_the_nodes_of_every_kind(user: FlytekitUser) -> None:
    runs = [
        user.launch(f"isles.flows.{name}")
        for name in ("branch_nested_wf", "dyn_deep_wf", "lp_node_wf", "map_points_wf", "fib_wf", "on_failure_wf")
    ]
    for run in runs:
        user.wait(run)
        user.remote.sync_execution(run, sync_nodes=True)
        assert run.node_executions


def test_it_waits_and_syncs_in_one_call(user: FlytekitUser) -> None:
    flow = user.fetch("isles.flows.nested_wf")
    run = user.remote.wait(user.remote.execute(flow, inputs={"x": 2}), poll_interval=1)
    assert run.outputs == {"o0": 8, "o1": 24}


def test_it_runs_entities_by_themselves(user: FlytekitUser) -> None:
    from isles import flows

    runs = [
        user.remote.execute(user.entity("isles.flows.double"), inputs={"x": 4}, version="v1"),
        user.remote.execute(flows.middle, inputs={"x": 4}, version="v1"),
        user.remote.execute(flows.default_lp, inputs={}, version="v1"),
        user.remote.execute(user.remote.fetch_task(name="isles.flows.add", version="v1"), inputs={"a": 1, "b": 2}),
        user.remote.execute(user.remote.fetch_launch_plan(name="isles.fixed", version="v1"), inputs={}),
        user.remote.execute(user.remote.fetch_launch_plan(name="isles.default", version="v1"), inputs={"x": 1}),
        user.remote.execute(user.fetch("isles.imperative"), inputs={"x": 10}),
    ]
    results = [next(iter(dict(user.wait(run).outputs).values())) for run in runs]
    assert results == [8, 24, 35, 3, 24, 3, 25]


def test_it_names_and_describes_executions_as_asked(user: FlytekitUser) -> None:
    flow = user.fetch("isles.flows.nested_wf")
    options = Options(
        labels=Labels({"team": "ml"}),
        annotations=Annotations({"note": "ünï"}),
        max_parallelism=2,
        raw_output_data_config=None,
    )
    name = f"named-{int(time.time())}"
    run = user.remote.execute(
        flow,
        inputs={"x": 1},
        execution_name=name,
        options=options,
        envs={"A": "b"},
        tags=["one", "two"],
        overwrite_cache=True,
    )
    assert run.id.name == name
    found = user.remote.fetch_execution(name=name)
    assert dict(found.spec.labels.values) == {"team": "ml"}
    assert dict(found.spec.annotations.values) == {"note": "ünï"}
    assert found.spec.max_parallelism == 2
    assert list(found.spec.tags) == ["one", "two"]
    again = user.remote.execute(flow, inputs={"x": 1}, execution_name=name)  # flytekit takes up the one that exists
    assert again.id.name == name
    prefixed = user.remote.execute(flow, inputs={"x": 1}, execution_name_prefix="pre")
    assert prefixed.id.name.startswith("pre")


def test_it_refuses_wrong_inputs_before_anything_is_written(user: FlytekitUser) -> None:
    flow = user.fetch("isles.values.many_wf")
    before = len(user.remote.recent_executions(limit=100))
    with pytest.raises(FlyteInvalidInputException, match="missing required inputs: a"):
        user.remote.execute(flow, inputs={})
    with pytest.raises((FlyteInvalidInputException, AssertionError, TypeError, ValueError)):
        user.remote.execute(flow, inputs={"a": "text"}, type_hints={"a": str})
    with pytest.raises((FlyteInvalidInputException, AssertionError, TypeError, ValueError)):
        user.remote.execute(flow, inputs={"a": 1, "unknown": 2})
    plan = user.remote.fetch_launch_plan(name="isles.fixed", version="v1")
    with pytest.raises((FlyteInvalidInputException, AssertionError, ValueError)):
        user.remote.execute(plan, inputs={"x": 9})
    assert len(user.remote.recent_executions(limit=100)) == before


def test_it_decides_gates(user: FlytekitUser) -> None:
    run = user.launch("isles.flows.gates_wf", {"x": 5})
    assert signals(user, run, 3) == {"ready", "name", "number"}
    user.remote.approve("ready", run.id.name)
    user.remote.set_signal("name", run.id.name, "Ægir", python_type=str)
    user.remote.set_input("number", run.id.name, 7, python_type=int)
    assert user.outputs("isles.flows.gates_wf", run) == (17, "Ægir", 10)


def test_it_takes_signals_of_every_simple_type(user: FlytekitUser) -> None:
    run = user.launch("isles.flows.signals_wf")
    signals(user, run, 5)
    values = {
        "f": (1.5, float),
        "b": (True, bool),
        "xs": ([1, 2], list[int]),
        "m": ({"a": 1}, dict[str, int]),
        "s": ("", str),
    }
    for name, (value, python_type) in values.items():
        user.remote.set_signal(name, run.id.name, value, python_type=python_type)
    assert user.outputs("isles.flows.signals_wf", run) == (1.5, True, [1, 2], "", {"a": 1})


def test_it_fails_what_is_rejected(user: FlytekitUser) -> None:
    run = user.launch("isles.flows.rejected_wf")
    signals(user, run, 1)
    user.remote.reject("ok", run.id.name)
    assert user.error(run)


def test_it_refuses_a_signal_of_the_wrong_type(user: FlytekitUser) -> None:
    run = user.launch("isles.flows.gates_wf")
    signals(user, run, 3)
    with pytest.raises(Exception, match="number"):
        user.remote.set_signal("number", run.id.name, "seven", python_type=str)
    user.remote.terminate(run, "enough")
    user.wait(run)
    assert run.closure.phase == WorkflowExecution.ABORTED


def test_it_terminates_what_runs(user: FlytekitUser) -> None:
    run = user.launch("isles.flows.sleeper_wf")
    eventually(lambda: _running(user, run))
    user.remote.terminate(run, "no more time")
    user.wait(run, 30)
    assert run.closure.phase == WorkflowExecution.ABORTED
    assert user.remote.client.get_execution(run.id).closure.abort_metadata.cause == "no more time"


def _running(user: FlytekitUser, run: FlyteWorkflowExecution) -> bool:
    user.remote.sync_execution(run, sync_nodes=True)
    return any(node.closure.phase == NodeExecution.RUNNING for node in run.node_executions.values())


def test_it_uploads_files_and_takes_them_as_inputs(user: FlytekitUser, tmp_path: Path) -> None:
    path = tmp_path / "fi le-ü.txt"
    path.write_text("uploaded ☃", encoding="utf-8")
    _, uri = user.remote.upload_file(path)
    assert uri
    from flytekit.types.file import FlyteFile

    runs = [
        user.launch("isles.values.file_in_wf", {"f": FlyteFile(str(path))}),
        user.launch("isles.values.file_in_wf", {"f": FlyteFile(uri)}),
    ]
    assert [user.outputs("isles.values.file_in_wf", run) for run in runs] == [("uploaded ☃",)] * 2


def test_it_reads_and_downloads_outputs_by_address(user: FlytekitUser, tmp_path: Path) -> None:
    run = user.launch("isles.values.file_wf")
    user.wait(run)
    address = f"flyte://v1/{PROJECT}/{DOMAIN}/{run.id.name}/n1/o"
    assert user.remote.get(address).get("o0", str) == "conténu"
    assert user.remote.get(f"{address}/o0").scalar.primitive.string_value == "conténu"
    user.remote.download(run.outputs, str(tmp_path))
    assert [path.read_text(encoding="utf-8") for path in tmp_path.rglob("out.txt")] == ["conténu"]


def test_it_shows_decks(user: FlytekitUser) -> None:
    run = user.launch("isles.flows.deck_wf")
    user.wait(run)
    deck = user.remote.get(f"flyte://v1/{PROJECT}/{DOMAIN}/{run.id.name}/n0/d")
    text = getattr(deck, "data", deck)
    assert "deck of 1" in (text.decode() if isinstance(text, bytes) else str(text))


def test_it_links_logs(user: FlytekitUser) -> None:
    run = user.wait(user.launch("isles.flows.log_wf"))
    user.remote.sync_execution(run, sync_nodes=True)
    (attempt,) = run.node_executions["n0"].task_executions
    (log, *_) = attempt.closure.logs
    assert log.uri.startswith(user.stack.http_url)
    (file,) = (user.stack.home / "objects" / "logs").rglob(f"{run.id.name}/**/*.log")
    text = file.read_text(encoding="utf-8")
    assert "said on stdout ☃" in text and "said in the log" in text


def test_it_fetches_the_newest_and_named_versions(user: FlytekitUser) -> None:
    user.register("duo", "first")
    with user.changed("duo/helper.py", "ANSWER = 43\n"):
        user.register("duo", "second")
    remote = user.remote
    assert remote.fetch_workflow(name="duo.one.answer_wf").id.version == "second"
    assert remote.fetch_task(name="duo.one.answer").id.version == "second"
    assert remote.fetch_launch_plan(name="duo.one.answer_wf").id.version == "second"
    assert remote.fetch_workflow(name="duo.one.answer_wf", version="first").id.version == "first"
    assert [task.id.name for task in remote.list_tasks_by_version("first")] == ["duo.one.answer"]
    with pytest.raises(FlyteEntityNotExistException):
        remote.fetch_workflow(name="duo.one.answer_wf", version="third")
    with pytest.raises(FlyteEntityNotExistException):
        remote.fetch_workflow(name="one.nothing_wf")
    both = [
        remote.execute(remote.fetch_workflow(name="duo.one.answer_wf", version=version), inputs={"wait": wait})
        for version, wait in (("first", 2.0), ("second", 2.0), ("first", 0.0), ("second", 0.0))
    ]
    assert [user.wait(run).outputs["o0"] for run in both] == [42, 43, 42, 43]  # each its own code, at one time


def test_it_lists_projects_domains_and_executions(user: FlytekitUser) -> None:
    assert PROJECT in {project.id for project in user.remote.list_projects()}
    assert {domain.id for domain in user.remote.get_domains()} >= {"development", "staging", "production"}
    run = user.wait(user.launch("isles.flows.env_wf"))
    recent = user.remote.recent_executions(limit=50)
    assert run.id.name in {execution.id.name for execution in recent}
    told = FlyteRemote(Config.auto(str(user.stack.flyte_config_file)), PROJECT, DOMAIN)
    with urllib.request.urlopen(told.generate_console_url(run)) as page:
        assert page.url.startswith(user.stack.http_url)


def test_it_measures_executions(user: FlytekitUser, capsys: pytest.CaptureFixture[str]) -> None:
    run = user.wait(user.launch("isles.flows.nested_wf"))
    span = user.remote.get_execution_metrics(run.id)
    span.explain()
    span.dump()
    assert "n1" in capsys.readouterr().out


def test_it_activates_launch_plans(user: FlytekitUser) -> None:
    ident = Identifier(ResourceType.LAUNCH_PLAN, PROJECT, DOMAIN, "isles.cron", "v1")
    user.remote.activate_launchplan(ident)
    assert user.remote.fetch_active_launchplan(name="isles.cron").id.version == "v1"
    user.remote.deactivate_launchplan(ident)
    assert user.remote.fetch_active_launchplan(name="isles.cron") is None


def test_it_fires_a_schedule(user: FlytekitUser) -> None:
    ident = Identifier(ResourceType.LAUNCH_PLAN, PROJECT, DOMAIN, "isles.rate", "v1")
    user.remote.activate_launchplan(ident)

    def fired() -> list[str]:
        executions, _ = user.remote.client.list_executions_paginated(PROJECT, DOMAIN, limit=50)
        return [found.id.name for found in executions if found.spec.metadata.mode == 1]

    name = eventually(fired, 100)[0]
    user.remote.deactivate_launchplan(ident)
    run = user.wait(user.remote.fetch_execution(name=name))
    assert run.outputs == {"o0": 48, "o1": 168}


def test_it_backfills(user: FlytekitUser) -> None:
    from_date = datetime(2026, 1, 1, tzinfo=timezone.utc)
    run = user.remote.launch_backfill(
        PROJECT, DOMAIN, from_date, from_date + timedelta(days=3), "isles.cron", "v1", version="back", parallel=True
    )
    user.wait(run)
    assert run.error is None


def test_it_registers_and_runs_what_python_holds(user: FlytekitUser) -> None:
    from isles import flows

    settings = SerializationSettings(ImageConfig.auto_default_image(), project=PROJECT, domain=DOMAIN, version="direct")
    task = user.remote.register_task(flows.double, settings, version="direct")
    assert task.id.version == "direct"
    flow = user.remote.fast_register_workflow(flows.middle, settings, version="direct2")
    assert flow.id.version == "direct2"
    plan = LaunchPlan.get_or_create(flows.middle, name="isles.later", default_inputs={"x": 9})
    registered = user.remote.register_launch_plan(plan, version="direct2", project=PROJECT, domain=DOMAIN)
    assert registered.id.name == "isles.later"
    run = user.wait(user.remote.execute(registered, inputs={}))
    assert run.outputs == {"o0": 99}


def test_it_reuses_what_was_computed(user: FlytekitUser) -> None:
    x = int(time.time()) % 100_000
    first = [user.outputs("isles.flows.cache_wf", user.launch("isles.flows.cache_wf", {"x": x})) for _ in range(2)]
    assert first[0] == first[1]
    fresh = user.launch("isles.flows.cache_wf", {"x": x}, overwrite_cache=True)
    assert user.outputs("isles.flows.cache_wf", fresh) != first[0]
    other = user.outputs("isles.flows.cache_wf", user.launch("isles.flows.cache_wf", {"x": x + 1}))
    assert other != first[0]
    ignoring = [user.launch("isles.flows.cache_ignore_wf", {"x": x, "y": y}) for y in (1,)]
    one = user.outputs("isles.flows.cache_ignore_wf", ignoring[0])
    assert (
        user.outputs("isles.flows.cache_ignore_wf", user.launch("isles.flows.cache_ignore_wf", {"x": x, "y": 2})) == one
    )
    serial = [user.launch("isles.flows.cache_serial_wf", {"x": x}) for _ in range(3)]
    assert len({user.outputs("isles.flows.cache_serial_wf", run) for run in serial}) == 1


def middle(x: int) -> int:
    return 0


def test_it_resolves_references(user: FlytekitUser) -> None:
    user.register("references", "refs")
    flow = user.remote.fetch_workflow(name="references.references.reference_wf", version="refs")
    run = user.wait(user.remote.execute(flow, inputs={"x": 2}))
    assert run.error is None, run.error.message
    assert run.outputs == {"o0": 4, "o1": 8}
    referred = flytekit.reference_workflow(PROJECT, DOMAIN, "isles.flows.middle", "v1")(middle)
    run = user.wait(user.remote.execute(referred, inputs={"x": 2}))
    assert run.outputs == {"o0": 8}


def test_it_names_the_endpoint_that_does_not_answer() -> None:
    with pytest.raises(Exception, match=re.compile("unavailable", re.IGNORECASE)):
        FlyteRemote(Config.for_endpoint("127.0.0.1:1", insecure=True), PROJECT, DOMAIN).list_projects()
