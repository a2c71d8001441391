"""Every way a task can end, with real processes and unmodified flytekit."""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import pytest
from flyteidl.core import dynamic_job_pb2, literals_pb2, types_pb2

from artifacts import wire
from artifacts.store import ObjectStore
from scheduler.attempts.observations import Ended
from scheduler.attempts.resources import Resources
from scheduler.executors.base import Assignment
from scheduler.executors.local import memory
from scheduler.phases import AttemptPhase
from tests.scheduler.executors.conftest import Bench, error, literal_map
from tests.scheduler.executors.test_hints import notebook

pytestmark = pytest.mark.e2e  # real processes

USER, SYSTEM = 1, 2


def test_it_runs_a_task_and_finds_its_outputs(bench: Bench) -> None:
    attempt = bench.task("add", inputs={"a": 20, "b": 22})
    ended = bench.run(attempt)
    assert ended.outcome.phase == AttemptPhase.SUCCEEDED
    assert bench.outputs(ended).literals["o0"].scalar.primitive.integer == 42
    assert "adding 20 and 22" in bench.log(attempt)
    assert ended.outcome.deck_uri == ""
    assert ended.started_at is not None
    assert ended.started_at <= ended.at


def test_it_runs_a_task_without_outputs_and_keeps_unicode_in_its_log(bench: Bench) -> None:
    attempt = bench.task("nothing")
    assert bench.run(attempt).outcome.phase == AttemptPhase.SUCCEEDED
    assert "smörgåsbord ☃ 文字" in bench.log(attempt)


def test_it_finds_the_deck(bench: Bench) -> None:
    ended = bench.run(bench.task("decked"))
    assert "<b>1 2 3</b>" in bench.store.get(ended.outcome.deck_uri).decode()


def test_it_accepts_a_dynamic_task(bench: Bench) -> None:
    ended = bench.run(bench.task("spawns", inputs={"n": 3}, env=dynamic_environment()))
    assert ended.outcome.phase == AttemptPhase.SUCCEEDED, error(ended)
    assert ended.outcome.output_uri.endswith("/futures.pb")
    spec = dynamic_job_pb2.DynamicJobSpec.FromString(bench.store.get(ended.outcome.output_uri))
    assert len(spec.nodes) == 3
    args = list(spec.tasks[0].container.args)
    assert args[args.index("--additional-distribution") + 1] == bench.distribution


def dynamic_environment() -> dict[str, str]:
    from flytekit.configuration import FastSerializationSettings, ImageConfig, SerializationSettings

    settings = SerializationSettings(
        ImageConfig.auto(img_name="image:1"),
        project="p",
        domain="d",
        version="v",
        fast_serialization_settings=FastSerializationSettings(enabled=True),
    )
    return {"_F_SS_C": settings.serialized_context, "FLYTE_INTERNAL_EXECUTION_PROJECT": "p"}


def test_it_tells_a_user_error_with_the_users_frames_only(bench: Bench) -> None:
    ended = bench.run(bench.task("fails"))
    told = error(ended)
    assert (told.kind, told.code) == (USER, "USER:RuntimeError")
    assert "ValueError: the data is wrong" in told.message
    assert 'File "workflows/tasks.py"' in told.message
    assert "deeper()" in told.message
    assert "flytekit" not in told.message
    assert ended.outcome.reason == "ValueError: the data is wrong"
    assert not ended.outcome.retryable


def test_it_says_that_a_recoverable_error_may_be_retried(bench: Bench) -> None:
    ended = bench.run(bench.task("fails_for_now"))
    assert ended.outcome.retryable
    assert error(ended).kind == USER


def test_it_shows_why_a_module_cannot_be_imported(bench: Bench) -> None:
    for _ in range(2):  # the second time the failure is known
        told = error(bench.run(bench.task("x", module="workflows.broken")))
        assert told.kind == USER
        assert "ModuleNotFoundError: No module named 'not_installed_anywhere'" in told.message
        assert 'File "workflows/broken.py"' in told.message
        assert "importlib" not in told.message
    assert bench.run(bench.task("add", inputs={"a": 1, "b": 1})).outcome.phase == AttemptPhase.SUCCEEDED


def test_it_survives_modules_that_exit_or_die_when_imported(bench: Bench) -> None:
    told = error(bench.run(bench.task("x", module="workflows.leaves")))
    assert told.kind == USER
    assert "no licence" in told.message
    told = error(bench.run(bench.task("x", module="workflows.dies")))
    assert told.kind == SYSTEM
    assert "SIGKILL" in told.message
    assert bench.run(bench.task("add", inputs={"a": 1, "b": 1})).outcome.phase == AttemptPhase.SUCCEEDED


def test_it_does_not_fork_from_a_process_with_threads(bench: Bench) -> None:
    ended = bench.run(bench.task("one", module="workflows.threaded"))
    assert bench.outputs(ended).literals["o0"].scalar.primitive.integer == 1


def test_no_two_tasks_draw_the_same_from_a_generator_of_their_module(bench: Bench) -> None:
    ended = [bench.run(bench.task("roll", module="workflows.dice")) for _ in range(4)]
    assert len({bench.outputs(one).literals["o0"].scalar.primitive.float_value for one in ended}) == 4


def test_it_names_a_task_that_does_not_exist(bench: Bench) -> None:
    told = error(bench.run(bench.task("no_such_task")))
    assert told.kind == USER
    assert "no_such_task" in told.message


@pytest.mark.parametrize(("task", "code"), [("exits", 3), ("exits_hard", 4)])
def test_it_tells_a_nonzero_exit_with_the_end_of_the_log(bench: Bench, task: str, code: int) -> None:
    ended = bench.run(bench.task(task, inputs={"code": code}))
    told = error(ended)
    assert (told.kind, told.code, ended.outcome.retryable) == (USER, "NonZeroExit", True)
    assert f"exit code {code}" in told.message
    assert "leaving" in told.message or "gone" in told.message


@pytest.mark.parametrize("task", ["exits", "exits_hard"])
def test_it_does_not_take_exit_code_0_for_success(bench: Bench, task: str) -> None:
    told = error(bench.run(bench.task(task, inputs={"code": 0})))
    assert (told.kind, told.code) == (USER, "OutputsNotFound")
    assert "without writing its outputs" in told.message


@pytest.mark.parametrize(
    ("number", "kind", "code"), [(signal.SIGKILL, SYSTEM, "Interrupted"), (signal.SIGSEGV, USER, "Killed")]
)
def test_it_names_the_signal_that_killed_a_task(bench: Bench, number: signal.Signals, kind: int, code: str) -> None:
    ended = bench.run(bench.task("kills_itself", inputs={"number": int(number)}))
    assert (error(ended).kind, error(ended).code) == (kind, code)
    assert number.name in error(ended).message
    assert ended.outcome.retryable


def test_a_kill_by_a_kernel_without_memory_is_out_of_memory(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    # What the kernel has counted, more each time. What it had when the attempt begins may be known of one before it.
    kills = itertools.count(memory.kernel_kills() + 1)
    monkeypatch.setattr(memory, "kernel_kills", lambda: next(kills))
    ended = bench.run(bench.task("kills_itself", inputs={"number": int(signal.SIGKILL)}))
    assert (error(ended).kind, error(ended).code) == (USER, "OOMKilled")
    assert ended.outcome.retryable


def test_it_takes_bytes_that_are_no_text_and_messages_without_end(bench: Bench) -> None:
    attempt = bench.task("babbles")
    ended = bench.run(attempt)
    told = error(ended)
    assert (told.kind, told.code) == (USER, "USER:RuntimeError")
    assert len(told.message) < 40_000 and "left out" in told.message
    assert told.message.rstrip().endswith("last") and "\0" not in told.message + ended.outcome.reason
    assert "\ufffd no text" in bench.log(attempt, errors="replace")


def test_it_kills_a_task_that_uses_more_memory_than_it_asked_for(bench: Bench) -> None:
    ended = bench.run(bench.task("eats", inputs={"megabytes": 300}, memory_limit=200 << 20))
    assert (error(ended).kind, error(ended).code) == (USER, "OOMKilled")
    assert "of the 200 MiB" in error(ended).message


def test_it_does_not_count_shared_memory_against_a_task(bench: Bench) -> None:
    ended = bench.run(bench.task("sleeps", inputs={"seconds": 2}, memory_limit=100 << 20))
    assert ended.outcome.phase == AttemptPhase.SUCCEEDED


def test_it_stops_a_task_at_its_timeout(bench: Bench) -> None:
    ended = bench.run(bench.task("sleeps", inputs={"seconds": 300}, timeout=0.5))
    assert error(ended).code == "TimeoutExpired"
    assert "0.5 s" in error(ended).message


def test_it_calls_a_full_disk_a_system_error(bench: Bench) -> None:
    told = error(bench.run(bench.task("fills_the_disk")))
    assert (told.kind, told.code) == (SYSTEM, "DiskFull")
    assert told.message.startswith("the disk is full")


def test_it_says_when_inputs_are_missing(bench: Bench) -> None:
    attempt = bench.task("add", inputs={"a": 1})
    assert "b" in error(bench.run(attempt)).message


def test_it_says_when_the_code_is_missing(bench: Bench) -> None:
    attempt = bench.task("add", inputs={"a": 1, "b": 1})
    gone = f"{bench.store.root}/uploads/gone.tar.gz"
    attempt = with_argv(attempt, [*attempt.spec.argv[:2], gone, *attempt.spec.argv[3:]])
    told = error(bench.run(attempt))
    assert (told.kind, told.code) == (USER, "CodeNotFound")
    assert "gone.tar.gz" in told.message


def test_it_runs_other_commands_as_they_are(bench: Bench) -> None:
    attempt = bench.task("", args=["sh", "-c", "echo $COLOUR; exit 7"], env={"COLOUR": "green"})
    told = error(bench.run(attempt))
    assert "exit code 7" in told.message
    assert bench.log(attempt) == "green\n"


def test_it_says_when_a_command_does_not_exist(bench: Bench) -> None:
    told = error(bench.run(bench.task("", args=["no-such-program"])))
    assert "no-such-program" in told.message


def test_it_refuses_an_attempt_without_a_command(bench: Bench) -> None:
    assert "no executor of this set-up runs" in error(bench.run(bench.task("", args=[]))).message


def test_it_gives_each_task_surroundings_of_its_own(bench: Bench) -> None:
    env = {"COLOUR": "blue", "FLYTE_INTERNAL_EXECUTION_ID": "exec-7"}
    seen = []
    for _ in range(2):
        ended = bench.run(bench.task("surroundings", env=env, resources=Resources(cpu=2)))
        assert ended.outcome.phase == AttemptPhase.SUCCEEDED, error(ended)
        fields = bench.outputs(ended).literals["o0"].scalar
        seen.append(unpack(fields))
    first, second = seen
    assert first["data"] == "a file of the project\n"
    assert first["files"] == ["data.txt", "workflows", "written.txt"]
    assert first["cwd"] != second["cwd"]
    for different in ("random", "uuid", "remote"):
        assert first[different] != second[different]
    assert (first["colour"], first["execution"], first["threads"]) == ("blue", "exec-7", "2")
    assert first["private"] == first["ours"] == []
    assert not first["django"]


def unpack(scalar: literals_pb2.Scalar) -> dict[str, Any]:
    import msgpack
    from google.protobuf.json_format import MessageToDict

    return msgpack.unpackb(scalar.binary.value) if scalar.HasField("binary") else MessageToDict(scalar.generic)


def test_it_runs_items_of_a_map(bench: Bench) -> None:
    ended = item_of(bench, "sleeps", "seconds")
    assert ended.outcome.phase == AttemptPhase.SUCCEEDED, error(ended)
    assert bench.outputs(ended).literals["o0"].scalar.primitive.integer == 0
    assert not bench.outputs(ended).literals["o0"].metadata


def test_items_of_a_map_say_what_their_task_is_annotated_with(bench: Bench) -> None:
    ended = item_of(bench, "published", "n")
    assert ended.outcome.phase == AttemptPhase.SUCCEEDED, error(ended)
    declared = wire.declared_of(bench.outputs(ended).literals).variables["o0"]
    assert declared.artifact_partial_id.artifact_key.name == "of-an-item"
    assert declared.type.simple == types_pb2.INTEGER


def item_of(bench: Bench, task: str, name: str) -> Ended:
    """The second item of a map over [7, 0]."""
    attempt = bench.task(task, env={"BATCH_JOB_ARRAY_INDEX_VAR_NAME": "INDEX", "INDEX": "1"})
    args = list(attempt.spec.argv)
    inputs = args[args.index("--inputs") + 1]
    literals = literal_map()
    for value in (7, 0):
        item = literals.literals[name].collection.literals.add()
        item.scalar.primitive.integer = value
    bench.store.put(inputs, literals.SerializeToString())
    args[args.index("pyflyte-execute")] = "pyflyte-map-execute"
    resolver = args.index("--resolver")
    loader = args[resolver + 3 :]
    args[resolver + 1 :] = [
        "flytekit.core.array_node_map_task.ArrayNodeMapTaskResolver",
        "--",
        *["vars", "", "resolver", "flytekit.core.python_auto_container.default_task_resolver", *loader],
    ]
    return bench.run(with_argv(attempt, args))


def with_argv(attempt: Assignment, argv: Sequence[str]) -> Assignment:
    return replace(attempt, spec=replace(attempt.spec, argv=tuple(argv)))


def test_an_echo_hands_on_its_input(bench: Bench) -> None:
    attempt = bench.task("add", inputs={"a": 20})
    ended = bench.run(replace(attempt, spec=replace(attempt.spec, argv=(), echo={"a": "o0"})))
    assert ended.outcome.phase == AttemptPhase.SUCCEEDED and ended.started_at is not None
    assert bench.outputs(ended).literals["o0"].scalar.primitive.integer == 20


def test_a_log_in_a_store_elsewhere_can_be_read_while_the_task_runs(
    own_bench: Bench, s3_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.executors.local.tending.LOG_SECONDS", 0.1)
    own_bench.executor.means.store = s3_store
    uri = f"{s3_store.root}/logs/1.log"
    marker = own_bench.home / "go"
    command = f"echo begun; until test -e {marker}; do sleep 0.05; done; echo done"
    attempt = replace(own_bench.task("add", fast=False, args=["sh", "-c", command]), log_uri=uri)
    own_bench.executor.submit(attempt)
    own_bench.wait_start(attempt)
    until = time.monotonic() + 30
    while not s3_store.exists(uri) or not s3_store.get(uri):
        assert time.monotonic() < until
        own_bench.executor.tick()
        time.sleep(0.05)
    assert s3_store.get(uri) == b"begun\n"
    marker.touch()
    own_bench.wait_end(attempt)
    assert s3_store.get(uri) == b"begun\ndone\n"


def test_a_directory_of_one_uploaded_file_inside_a_value_is_a_directory(bench: Bench) -> None:
    uri = f"{bench.store.root}/uploads/p/d/HASH/a.txt"
    bench.store.put(uri, b"a")
    attempt = bench.task("listed_inside")
    given = literals_pb2.LiteralMap()
    binary = given.literals["held"].scalar.binary
    binary.value, binary.tag = msgpack.packb({"folder": {"path": uri}}), "msgpack"
    bench.store.put(attempt.spec.addresses.inputs, given.SerializeToString())
    ended = bench.run(attempt)
    assert ended.outcome.phase == AttemptPhase.SUCCEEDED, error(ended).message
    assert bench.outputs(ended).literals["o0"].scalar.primitive.string_value == "a.txt"


def test_a_notebook_of_another_python_ends_before_it_starts(bench: Bench, tmp_path: Path) -> None:
    distribution = f"{bench.store.root}/uploads/p/d/NOTEBOOK/pkl.gz"
    bench.store.put(distribution, notebook(tmp_path, "3.99.7").read_bytes())
    resolver = "flytekit.core.python_auto_container.default_notebook_task_resolver"
    run = ["pyflyte-execute", "--resolver", resolver, "--", "entity-name", "increment"]
    attempt = bench.task("", args=["pyflyte-fast-execute", "--additional-distribution", distribution, "--", *run])
    image = "cr.flyte.org/flyteorg/flytekit:py3.99-1.16.31"
    attempt = replace(attempt, spec=replace(attempt.spec, image=image))
    ended = bench.run(attempt)
    assert (error(ended).code, error(ended).kind) == ("PythonMismatch", USER) and not ended.outcome.retryable
    assert "Python 3.99" in error(ended).message and attempt.attempt_id not in bench.starts
