"""The executor's parts that need no process."""

from __future__ import annotations

import os
import queue
import tarfile
from pathlib import Path

import pytest

from artifacts.exceptions import NotFound
from artifacts.store import open_store
from scheduler.attempts.observations import Accepted, Ended, Observation, Running
from scheduler.attempts.outcomes import Outcome
from scheduler.attempts.resources import Resources
from scheduler.attempts.traces import trim
from scheduler.executors.command import own_variables, plan, warm_key
from scheduler.executors.fake import FakeExecutor
from scheduler.executors.local.code import CodeCache
from scheduler.phases import AttemptPhase
from tests.scheduler.executors.conftest import PROJECT, Bench, archive

TRACE = """Trace:

    Traceback (most recent call last):
      File "/venv/lib/python3.11/site-packages/flytekit/core/base_task.py", line 1, in dispatch_execute
        native_outputs = self.execute(**native_inputs)
                         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      File "/home/code/abc/workflows/a.py", line 4, in fails
        1 / 0
        ~~^~~
    ZeroDivisionError: division by zero

Message:

    ZeroDivisionError: division by zero"""


def test_it_keeps_only_the_users_frames() -> None:
    told = trim(TRACE, "/home/code/abc")
    assert "flytekit" not in told
    assert "native_outputs" not in told
    assert 'File "workflows/a.py", line 4, in fails\n        1 / 0\n        ~~^~~\n    ZeroDivisionError' in told
    assert told.startswith("Trace:\n\n    Traceback (most recent call last):\n")
    assert told.endswith("Message:\n\n    ZeroDivisionError: division by zero")


def test_it_keeps_a_trace_that_is_all_flytekits() -> None:
    text = '  File "/x/flytekit/a.py", line 1, in f\n    raise ValueError\nValueError'
    assert trim(text) == text


def test_it_takes_fast_execution_apart() -> None:
    inner = ["pyflyte-execute", "--inputs", "i", "--resolver", "r", "--", "task-module", "a.b", "task-name", "t"]
    fast = plan(["pyflyte-fast-execute", "--additional-distribution", "s3://c", "--dest-dir", "/root", "--", *inner])
    assert (fast.distribution, fast.module) == ("s3://c", "a.b")
    added = ["--dynamic-addl-distro", "s3://c", "--dynamic-dest-dir", "/root"]
    assert list(fast.args) == [*inner[:3], *added, *inner[3:]]
    assert plan(inner).args == tuple(inner)
    assert plan(["pyflyte-fast-execute", "--additional-distribution=u", *inner]).distribution == "u"
    assert plan(["echo"]).module == ""
    assert plan([]).args == ()


def test_attempts_share_a_zygote_unless_their_tasks_environment_differs() -> None:
    base = {"COLOUR": "blue", "FLYTE_INTERNAL_EXECUTION_ID": "a", "_F_IMG_ID": "image"}
    assert warm_key("u", base) == warm_key("u", {**base, "FLYTE_INTERNAL_EXECUTION_ID": "b"})
    assert warm_key("u", base) == warm_key(
        "u", {**base, "FLYTE_K8S_ARRAY_INDEX": "7", "BATCH_JOB_ARRAY_INDEX_OFFSET": "-5"}
    )
    assert warm_key("u", base) != warm_key("u", {**base, "COLOUR": "red"})
    assert warm_key("u", base) != warm_key("v", base)
    assert own_variables(base) == {"COLOUR": "blue", "_F_IMG_ID": "image"}


def test_it_fetches_code_once_and_leaves_nothing_of_a_bad_archive(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/objects")
    uri, bad = f"{store.root}/code.tar.gz", f"{store.root}/bad.tar.gz"
    store.put(uri, archive(PROJECT))
    store.put(bad, b"not an archive")
    cache = CodeCache(tmp_path / "code", store)
    path = cache.fetch(uri)
    assert (path / "workflows" / "tasks.py").exists()
    store.delete(uri)
    assert cache.fetch(uri) == path
    with pytest.raises(NotFound):
        cache.fetch(f"{store.root}/gone.tar.gz")
    with pytest.raises(tarfile.TarError, match="gzip"):
        cache.fetch(bad)
    assert sorted(cache.directory.iterdir()) == [path]


def test_it_removes_code_that_is_long_unused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.executors.local.code.KEPT", 1)
    store = open_store(f"file://{tmp_path}/objects")
    cache = CodeCache(tmp_path / "code", store)
    paths = []
    for number in range(5):
        uri = f"{store.root}/code{number}.tar.gz"
        store.put(uri, archive(PROJECT))
        paths.append(cache.fetch(uri))
        os.utime(paths[-1], (0, number))  # in 1970, one after the other
    left_over = cache.directory / ".partial-x"
    left_over.mkdir()
    os.utime(left_over, (0, 0))
    assert cache.ready(f"{store.root}/code0.tar.gz")  # used just now
    assert set(cache.prune({paths[1]})) == {paths[2], paths[3], paths[4]}
    assert set(cache.directory.iterdir()) == {paths[0], paths[1]}
    assert not cache.ready(f"{store.root}/code2.tar.gz")
    assert cache.fetch(f"{store.root}/code2.tar.gz") == paths[2]


def test_resources_say_what_is_missing() -> None:
    total = Resources.parse({"cpu": 2, "memory": 4 << 30, "gpu": 0})
    assert total.lacking(Resources(cpu=2, memory=1 << 30)) == []
    assert total.lacking(Resources(cpu=2.5, memory=5 << 30, gpu=1)) == [
        "cpu 2.5 of 2",
        "memory 5.0 GiB of 4.0 GiB",
        "gpu 1 of 0",
    ]
    assert Resources.parse({}, default_cpu=0.5).cpu == 0.5


def test_the_fake_ends_attempts_as_it_is_told() -> None:
    events: queue.Queue[Observation] = queue.Queue()
    succeeded = Outcome(AttemptPhase.SUCCEEDED)
    fake = FakeExecutor(lambda assignment: succeeded if assignment.name == "quick" else None)
    fake.start(events.put)
    for number, name in enumerate(["quick", "slow"]):
        fake.submit(Bench.bare(number, name))
    fake.cancel(1)
    kinds = [type(events.get_nowait()) for _ in range(6)]
    assert kinds == [Accepted, Running, Ended, Accepted, Running, Ended]
    assert events.empty()
