"""What runs in a pod that stays: tasks come in as lines, each runs in a fork, and nothing of one reaches the next."""

from __future__ import annotations

import base64
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flyteidl.core import literals_pb2

from artifacts.store import ObjectStore
from scheduler.executors.kubernetes.runner import start
from tests.scheduler.executors.kubernetes.test_runner import Place

pytestmark = pytest.mark.e2e  # flytekit itself
PROGRAM = b"""
import os, signal, subprocess, sys, tempfile, time
from pathlib import Path
from flytekit import task

KEPT = []

@task
def add(n: int) -> int:
    print("adding to", n)
    return n + 1

@task
def leave(n: int) -> str:
    KEPT.append(n)
    os.environ["LEFT"] = "here"
    sys.path.append("/left")
    for folder in (".", "~", tempfile.gettempdir()):
        (Path(folder).expanduser() / "left.txt").write_text("here")
    left = subprocess.Popen(["sleep", "300"], start_new_session=True)
    return str(left.pid)

@task
def look(n: int) -> str:
    files = [str(p) for f in (".", "~", tempfile.gettempdir()) for p in Path(f).expanduser().glob("left*")]
    return repr((KEPT, os.environ.get("LEFT"), os.environ.get("OWN"), "/left" in sys.path, files))

@task
def end(n: int) -> int:
    print("last words", flush=True)
    os._exit(n)

@task
def sleep(n: int) -> int:
    time.sleep(n)
    return n
"""


def _whole(n: int) -> literals_pb2.Literal:
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=n)))


class Program:
    """The program of a pod, without the pod."""

    def __init__(self, place: Place, *, silence: float = 60) -> None:
        place.pack({"buoys.py": PROGRAM})
        self.place, self.said, self.number = place, queue.Queue[dict[str, Any]](), 0
        self.imported: dict[str, Any] | None = None  # what is told of the program, where that is imported once
        (here := place.folder / "image").mkdir()
        (here / "of-the-image.txt").write_text("hello")
        self.process = subprocess.Popen(
            start.pool_words(silence, str(place.folder / "tasks"), []),
            cwd=here,
            env={**place.env, start.VARIABLE: start.pool_code(), "OF_THE_POD": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        threading.Thread(target=self._read, daemon=True).start()
        assert self.hear()["is"] == "ready"

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.said.put(json.loads(line))

    def say(self, **told: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(told).encode() + b"\n")
        self.process.stdin.flush()

    def hear(self, kind: str = "") -> dict[str, Any]:
        while True:
            told = self.said.get(timeout=30)
            if kind in ("", told["is"]):
                return told

    def hear_all(self) -> list[dict[str, Any]]:
        """Up to the end of a task."""
        found = [self.hear()]
        while found[-1]["is"] != "ended":
            found.append(self.hear())
        return found

    def run(self, task: str, n: int = 1, **over: Any) -> int:
        self.number += 1
        prefix = f"{self.place.store.root}/{self.number}/{task}"
        given = {"n": _whole(n)}
        self.place.store.put(f"{prefix}/in.pb", literals_pb2.LiteralMap(literals=given).SerializeToString())
        argv = self.place.command(str(self.number), task)
        told = {"do": "run", "id": self.number, "argv": argv, "env": {}, "program": self.imported, **over}
        self.say(**told)
        return self.number

    def result(self, number: int, task: str, *, of: str = "") -> Any:
        """What it gave, once it has ended."""
        while self.hear("ended")["id"] != number:
            pass
        read = self.place.store.get(f"{self.place.store.root}/{of or number}/{task}/out/outputs.pb")
        primitive = literals_pb2.LiteralMap.FromString(read).literals["o0"].scalar.primitive
        return getattr(primitive, primitive.WhichOneof("value"))

    def gives(self, task: str, n: int = 1, **over: Any) -> Any:
        return self.result(self.run(task, n, **over), task)


BUOYS = {"key": "buoys", "module": "buoys", "env": {}}


@pytest.fixture(params=[None, BUOYS], ids=["each imports it", "imported once"])
def program(request: pytest.FixtureRequest, s3_store: ObjectStore, tmp_path: Path) -> Iterator[Program]:
    made = Program(Place(s3_store, tmp_path))
    made.imported = request.param
    yield made
    made.process.kill()


@pytest.fixture
def once(s3_store: ObjectStore, tmp_path: Path) -> Iterator[Program]:
    made = Program(Place(s3_store, tmp_path))
    made.imported = BUOYS
    yield made
    made.process.kill()


def test_tasks_run_one_after_the_other_in_one_pod(program: Program) -> None:
    assert [program.gives("add", n) for n in range(3)] == [1, 2, 3]
    assert program.process.poll() is None


def test_nothing_of_one_task_reaches_the_next(program: Program) -> None:
    left = int(program.gives("leave", env={"OWN": "first"}))
    assert program.gives("look") == repr(([], None, None, False, []))
    assert not os.path.exists(f"/proc/{left}"), "what it left running was ended"
    deadline = time.monotonic() + 10  # an end is told before what it leaves is cleared away
    while folders := [one for one in (program.place.folder / "tasks").iterdir() if one.is_dir() and one.name.isdigit()]:
        assert time.monotonic() < deadline, folders
        time.sleep(0.05)
    assert [one.name for one in (program.place.folder / "image").iterdir()] == ["of-the-image.txt"]


def test_how_a_task_ended_is_told_with_its_log_before_it(program: Program) -> None:
    program.run("end", 3)
    first, *pieces, ended = program.hear_all()
    text = b"".join(base64.b64decode(one["data"]) for one in pieces)
    assert first["is"] == "started" and {one["is"] for one in pieces} == {"log"}
    assert b"last words" in text
    assert (ended["code"], ended["log"]) == (3, len(text))


def test_what_ended_is_told_again_until_it_is_forgotten(program: Program) -> None:
    number = program.run("end", 3)
    program.hear("ended")
    for _ in range(2):
        program.say(do="state")
        state = program.hear("state")
        assert state["runs"] == [] and [one["id"] for one in state["ended"]] == [number]
    program.say(do="log", id=number, **{"from": 5})
    assert program.hear("log")["at"] == 5
    program.say(do="forget", id=number)
    program.say(do="state")
    assert program.hear("state")["ended"] == []


def test_a_task_is_stopped_and_one_that_takes_too_long_ended(program: Program) -> None:
    number = program.run("sleep", 60)
    program.hear("started")
    program.say(do="stop", id=number, grace=1)
    stopped = program.hear("ended")
    assert (stopped["why"], stopped["code"]) == ("stopped", 128 + signal.SIGTERM)
    program.run("sleep", 60, timeout=1)
    assert program.hear("ended")["why"] == "timeout"
    assert program.gives("add", 4) == 5


def test_a_log_is_cut_where_it_is_too_long(program: Program) -> None:
    program.run("end", 0, log=4)
    _, *pieces, ended = program.hear_all()
    text = b"".join(base64.b64decode(one["data"]) for one in pieces)
    assert text[4:].startswith(b"\n[Causeway left out ") and ended["log"] == len(text)


def test_code_that_belongs_elsewhere_is_refused(program: Program) -> None:
    argv = [word if word != "." else "/somewhere" for word in program.place.command("causeway", "add")]
    program.say(do="run", id=9, argv=argv, env={})
    refused = program.hear("refused")
    assert refused["id"] == 9 and refused["why"]


def test_what_somebody_did_not_say_to_its_end_harms_nobody(program: Program) -> None:
    assert program.process.stdin is not None
    program.process.stdin.write(b'{"do": "ru\n{"do": "state"}\n')
    program.process.stdin.flush()
    assert program.hear("state")["runs"] == []


def test_a_pod_that_is_asked_to_end_says_so_of_its_tasks(program: Program) -> None:
    program.run("sleep", 60)
    program.hear("started")
    program.process.send_signal(signal.SIGTERM)
    assert program.hear("ended")["why"] == "closing"
    assert program.process.wait(10) == 0


def test_a_pod_that_nobody_speaks_to_ends(s3_store: ObjectStore, tmp_path: Path) -> None:
    program = Program(Place(s3_store, tmp_path), silence=1)
    began = time.monotonic()
    assert program.process.wait(20) == 0
    assert time.monotonic() - began < 10


def test_a_line_without_a_program_costs_no_time(program: Program) -> None:
    """Idle, it waits for nothing but a word."""
    before = _cpu(program.process.pid)
    time.sleep(2)
    assert _cpu(program.process.pid) == before


# --- a program that is imported once ----------------------------------------------------------------------------------

COUNTS = b"""
import os, random, threading, time, uuid
from pathlib import Path
from flytekit import task

print("being imported", flush=True)
MARK = uuid.uuid4().hex
CODE = Path(__file__).parent
SEEDED = os.environ.get("SEED")
if SEEDED:
    random.seed(7)
if os.environ.get("THREAD"):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
if os.environ.get("OPEN"):
    LEFT_OPEN = open(__file__)
if os.environ.get("SLOW"):
    time.sleep(60)
if os.environ.get("WRONG"):
    raise ValueError("not to be imported")

@task
def mark(n: int) -> str:
    return f"{MARK} {os.getpid()} {os.environ.get('OWN')} {'CAUSEWAY_TOKEN' in os.environ}"

if os.environ.get("WITH"):
    __import__(os.environ["WITH"])

@task
def multiplied(n: int) -> str:
    import numpy
    before = len(os.listdir("/proc/self/task"))
    numpy.ones((300, 300)) @ numpy.ones((300, 300))
    return str(len(os.listdir("/proc/self/task")) > before or os.cpu_count() == 1)

@task
def one(n: int) -> str:
    return f"{n} {MARK}"

@task
def rolled(n: int) -> str:
    return str(random.random())

@task
def write(n: int) -> str:
    (CODE / "own.txt").write_text("here")
    return MARK

@task
def beside(n: int) -> str:
    Path("own.txt").write_text("here")
    return f"{MARK} {(CODE / 'own.txt').exists()} {Path('buoys.py').read_text() == Path(__file__).read_text()}"
"""


def log_of(told: list[dict[str, Any]]) -> str:
    return b"".join(base64.b64decode(one["data"]) for one in told if one["is"] == "log").decode()


def counting(program: Program, *, key: str = "counts", **env: str) -> Program:
    """With another program from now on."""
    program.place.pack({"buoys.py": COUNTS})
    program.imported = {"key": key, "module": "buoys", "env": env}
    return program


def marks(program: Program, times: int = 3, task: str = "mark", **over: Any) -> list[list[str]]:
    return [program.gives(task, **over).split() for _ in range(times)]


def test_tasks_are_forks_of_a_process_that_has_their_program(once: Program) -> None:
    found = marks(counting(once), env={"OWN": "its", "CAUSEWAY_TOKEN": "t"})
    assert len({mark for mark, *_ in found}) == 1 and len({pid for _, pid, *_ in found}) == 3
    assert {(own, token) for _, _, own, token in found} == {("its", "True")}


def test_an_item_of_a_map_and_a_task_are_forks_of_the_same(once: Program) -> None:
    ((first, *_),) = marks(counting(once), 1)
    root, (before,) = once.place.store.root, _processes(once)
    items = literals_pb2.LiteralCollection(literals=[_whole(n) for n in (5, 6)])
    given = {"n": literals_pb2.Literal(collection=items)}
    once.place.store.put(f"{root}/map/one/in.pb", literals_pb2.LiteralMap(literals=given).SerializeToString())
    argv = once.place.command("map", "one", program="pyflyte-map-execute")
    env = {"BATCH_JOB_ARRAY_INDEX_VAR_NAME": "FLYTE_K8S_ARRAY_INDEX", "FLYTE_K8S_ARRAY_INDEX": "1"}
    once.say(do="run", id=99, argv=argv, env=env, program=once.imported)
    assert once.result(99, "one", of="map") == f"6 {first}"
    assert _processes(once) == {before}


def test_what_an_import_says_each_task_says(once: Program) -> None:
    counting(once)
    for _ in range(2):
        once.run("mark")
        assert log_of(once.hear_all()).count("being imported") == 1


def test_another_program_is_never_there_at_the_same_time(once: Program) -> None:
    ((first, *_),) = marks(counting(once), 1)
    before = _processes(once)
    ((second, *_),) = marks(counting(once, key="other"), 1)
    assert first != second and not before & _processes(once)
    once.imported = None
    once.gives("mark")
    assert not _processes(once), "nor beside a task that is nobody's"


def test_numeric_libraries_are_imported_once_and_have_their_threads(once: Program) -> None:
    counting(once, WITH="pandas")
    threads = {once.gives("multiplied", env={"WITH": "pandas"}) for _ in range(2)}
    assert threads == {"True"}
    assert len({mark for mark, *_ in marks(once, 2)}) == 1


@pytest.mark.parametrize("why", ["THREAD", "OPEN"])
def test_a_program_that_cannot_be_forked_is_imported_by_each_task(once: Program, why: str) -> None:
    env = {why: "1"}
    found = marks(counting(once, **env), 2, env=env)
    assert len({mark for mark, *_ in found}) == 2
    assert not _processes(once)


def test_a_program_that_cannot_be_imported_is_told_of_by_each_task(once: Program) -> None:
    env = {"WRONG": "1"}
    counting(once, **env)
    for _ in range(2):
        once.run("mark", env=env)
        said = log_of(once.hear_all())
        assert "ValueError: not to be imported" in said and said.count("being imported") == 1


def test_a_task_that_writes_into_its_code_writes_into_nobody_elses(once: Program) -> None:
    counting(once)
    ((first, there, same),) = marks(once, 1, "beside")
    assert (there, same) == ("False", "True"), "what it writes beside is its own"
    assert marks(once, 1)[0][0] == first
    assert once.gives("write") == first
    assert marks(once, 1)[0][0] != first, "it is not kept after that"
    assert marks(once, 1, "beside")[0][1:] == ["True", "True"], "in its own folder, as in a pod of its own"


@pytest.mark.parametrize(("env", "different"), [({}, 3), ({"SEED": "1"}, 1)])
def test_random_numbers_are_as_in_a_process_of_its_own(once: Program, env: dict[str, str], different: int) -> None:
    assert len({roll for (roll,) in marks(counting(once, **env), task="rolled", env=env)}) == different


@pytest.mark.parametrize(("told", "why"), [({"do": "stop", "grace": 5}, "stopped"), (None, "timeout")])
def test_a_task_ends_while_its_program_is_imported(once: Program, told: dict[str, Any] | None, why: str) -> None:
    counting(once, SLOW="1")
    number = once.run("mark", **({} if told else {"timeout": 2}))
    once.hear("started")
    if told:
        once.say(**told, id=number)
    ended = once.hear("ended")
    assert (ended["id"], ended["why"]) == (number, why) and not _processes(once)
    assert marks(counting(once, key="again"), 1)


def test_a_program_whose_process_is_killed_is_imported_by_each_task(once: Program) -> None:
    ((first, *_),) = marks(counting(once), 1)
    for pid in _processes(once):
        os.kill(pid, signal.SIGKILL)
    assert marks(once, 1)[0][0] != first


def _processes(program: Program) -> set[int]:
    """Those below it, once none of a task is left."""
    own = f"/proc/{program.process.pid}/task/{program.process.pid}/children"
    return {int(pid) for pid in Path(own).read_text().split()}


def _cpu(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
