"""A command of flytekit started our way comes to what it comes to when flytekit starts it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flyteidl.core import dynamic_job_pb2, errors_pb2, literals_pb2
from flytekit.configuration import SERIALIZED_CONTEXT_ENV_VAR, ImageConfig, SerializationSettings

from artifacts.store import ObjectStore
from scheduler.executors.kubernetes.runner import start
from tests.scheduler.executors.kubernetes.specs import around, built, main_of

PROGRAM = Path(__file__).parent / "programs" / "buoys.py"
BIN = Path(sys.executable).parent
WAYS = ("flytekit", "causeway")
FAST = "flytekit.core.python_auto_container.default_task_resolver"

pytestmark = pytest.mark.e2e  # flytekit itself, twice for each test
SETTINGS = SerializationSettings(ImageConfig.auto(img_name="localhost/task:1"), "flights", "development", "v1")

ASKS = """
import sys
from flytekit import task

@task
def one(n: int) -> str:
    found = sys.modules.get("NAME")
    return "own" if hasattr(found, "own") else repr(found)
"""
ALSO_THE_LIBRARYS = """
import os, sysconfig
path = os.path.join(sysconfig.get_path("stdlib"), "inspect.py")
exec(compile(open(path).read(), path, "exec"))
own = 1
"""


@pytest.fixture(scope="module", autouse=True)
def _as_in_a_container() -> Iterator[None]:
    """Whoever runs the tests in the background has them ignore these, and what they start too. (Not between fork and
    exec of each: other tests leave threads here that live through no fork.)
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)}
    for number, how in before.items():
        if how == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    yield
    for number, how in before.items():
        signal.signal(number, how)


@dataclass
class End:
    status: int
    log: str
    files: dict[str, bytes]  # below the output prefix

    @property
    def outputs(self) -> Any:
        return literals_pb2.LiteralMap.FromString(self.files["outputs.pb"]).literals

    @property
    def o0(self) -> Any:
        primitive = self.outputs["o0"].scalar.primitive
        return getattr(primitive, primitive.WhichOneof("value"))

    @property
    def error(self) -> Any:
        return errors_pb2.ErrorDocument.FromString(self.files["error.pb"]).error


class Place:
    """A store, a code package in it, and processes like those of a container."""

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        self.store, self.folder = store, folder
        self.package = f"{store.root}/code/buoys.tar.gz"
        self.pack({"buoys.py": PROGRAM.read_bytes()})
        (folder / "home").mkdir()
        self.env = {
            "PATH": f"{BIN}:/usr/bin:/bin",
            "HOME": str(folder / "home"),
            "FLYTE_AWS_ENDPOINT": os.environ["AWS_ENDPOINT_URL"],
            "FLYTE_AWS_ACCESS_KEY_ID": "k",
            "FLYTE_AWS_SECRET_ACCESS_KEY": "s",
            "FLYTE_INTERNAL_EXECUTION_PROJECT": "flights",
            "FLYTE_INTERNAL_EXECUTION_DOMAIN": "development",
            "FLYTE_INTERNAL_EXECUTION_ID": "f1",
            "FLYTE_INTERNAL_TASK_PROJECT": "flights",
            "FLYTE_INTERNAL_TASK_NAME": "buoys.task",
            "FLYTE_INTERNAL_TASK_DOMAIN": "development",
            "FLYTE_INTERNAL_TASK_VERSION": "v1",
            "FLYTE_INTERNAL_IMAGE": "localhost/task:1",
            "_FSEC_HARBOUR_TOKEN": "sesame",
            SERIALIZED_CONTEXT_ENV_VAR: SETTINGS.serialized_context,
        }

    def pack(self, files: dict[str, bytes]) -> None:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for name, content in files.items():
                told = tarfile.TarInfo(name)
                told.size = len(content)
                archive.addfile(told, io.BytesIO(content))
        self.store.put(self.package, packed.getvalue())

    def command(self, way: str, task: str, *, program: str = "pyflyte-execute", fast: bool = True) -> list[str]:
        prefix = f"{self.store.root}/{way}/{task}"
        execute = [program, "--inputs", f"{prefix}/in.pb", "--output-prefix", f"{prefix}/out"]
        execute += ["--raw-output-data-prefix", f"{prefix}/raw", "--checkpoint-path", f"{prefix}/checkpoint"]
        execute += [
            "--prev-checkpoint",
            f"{prefix}/before" if list(self.store.list(f"{prefix}/before")) else '""',
            "--resolver",
        ]
        of_task = ["task-module", "buoys", "task-name", task]
        if program == "pyflyte-map-execute":
            execute += ["flytekit.core.array_node_map_task.ArrayNodeMapTaskResolver", "--", "vars", ""]
            execute += ["resolver", FAST, "task-module", "buoys", "task-name", "one"]
        else:
            execute += [FAST, "--", *of_task]
        return (
            ["pyflyte-fast-execute", "--additional-distribution", self.package, "--dest-dir", ".", "--", *execute]
            if fast
            else execute
        )

    def begin(self, way: str, task: str, inputs: Any, *, program: str, fast: bool, **env: str) -> subprocess.Popen[str]:
        """In a working directory of the same path for both."""
        given = {name: _literal(value) for name, value in inputs.items()}
        content = literals_pb2.LiteralMap(literals=given).SerializeToString()
        self.store.put(f"{self.store.root}/{way}/{task}/in.pb", content)
        command, own = self.command(way, task, program=program, fast=fast), {}
        if way == "causeway":
            command, own = start.wrapped(command), {start.VARIABLE: start.code()}
        work = self.folder / "work"
        if work.exists():
            work.rename(self.folder / f"work-{time.monotonic_ns()}")
        work.mkdir()
        if not fast:
            (work / "buoys.py").write_bytes(PROGRAM.read_bytes())
        environment = {**self.env, **own, **env}
        return subprocess.Popen(
            command,
            cwd=work,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def end(self, way: str, task: str, process: subprocess.Popen[str]) -> End:
        log, _ = process.communicate(timeout=120)
        prefix = f"{self.store.root}/{way}/{task}/out/"
        files = {one.uri[len(prefix) :]: self.store.get(one.uri) for one in self.store.list(prefix)}
        return End(process.returncode % 256, log, files)

    def both(
        self, task: str, *, program: str = "pyflyte-execute", fast: bool = True, env: dict[str, str] | None = None,
        inputs: dict[str, dict[str, Any]] | None = None, **given: Any,
    ) -> tuple[End, End]:  # fmt: skip
        """What flytekit's way comes to and what ours does; `inputs`: by the way, `given`: of both."""
        ends = []
        for way in WAYS:
            of_way = (inputs or {}).get(way, given)
            process = self.begin(way, task, of_way, program=program, fast=fast, **(env or {}))
            ends.append(self.end(way, task, process))
        return ends[0], ends[1]


def _literal(value: Any) -> literals_pb2.Literal:
    if isinstance(value, literals_pb2.Literal):
        return value
    if isinstance(value, list):
        return literals_pb2.Literal(
            collection=literals_pb2.LiteralCollection(literals=[_literal(one) for one in value])
        )
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=value)))


@pytest.fixture
def place(s3_store: ObjectStore, tmp_path: Path) -> Place:
    return Place(s3_store, tmp_path)


def test_a_program_sees_the_same_surroundings(place: Place) -> None:
    for fast in (True, False):
        theirs, ours = (json.loads(end.o0) for end in place.both("surroundings", fast=fast, n=3))
        for told, way in ((theirs, "flytekit"), (ours, "causeway")):
            told["argv"] = [word.replace(f"/{way}/", "/way/") for word in told["argv"]]
        assert ours == theirs
        assert ours["n"] == 3


def test_with_a_pythonpath_and_a_place_of_ones_own(place: Place) -> None:
    (place.folder / "lib").mkdir()
    env = {"PYTHONPATH": str(place.folder / "lib")}
    theirs, ours = (json.loads(end.o0) for end in place.both("surroundings", env=env, n=1))
    assert (ours["path"], ours["pythonpath"]) == (theirs["path"], theirs["pythonpath"])
    assert str(place.folder / "lib") in ours["path"][1:3]


def test_the_client_library_is_imported_only_by_those_who_need_it(place: Place) -> None:
    place.pack({"buoys.py": ASKS.replace("NAME", "s3fs").encode()})
    theirs, ours = place.both("one", n=1)
    assert ("s3fs" in theirs.o0, ours.o0) == (True, "None")
    assert ours.status == theirs.status == 0


@pytest.mark.parametrize("task", ["broken", "worth_another_try", "no_such_task"])
def test_errors_are_told_alike(place: Place, task: str) -> None:
    theirs, ours = place.both(task, n=7)
    assert ours.status == theirs.status == 0
    assert sorted(ours.files) == sorted(theirs.files)
    for name in ("code", "kind", "origin"):
        assert getattr(ours.error, name) == getattr(theirs.error, name)
    assert ours.error.message == theirs.error.message
    assert "causeway" not in ours.error.message


@pytest.mark.parametrize(("task", "status"), [("leaves", 5), ("exits", 5), ("is_killed", 256 - 9)])
def test_processes_that_end_by_themselves(place: Place, task: str, status: int) -> None:
    theirs, ours = place.both(task, n=5)
    assert theirs.status == status
    assert ours.status in (status, 384 - status if status > 128 else status)  # a shell says 128 + 9 for -9
    assert ours.files == theirs.files


def test_files_folders_and_frames(place: Place) -> None:
    theirs, ours = place.both("writes", n=4)
    assert ours.status == theirs.status == 0
    given = {way: {} for way in WAYS}  # type: dict[str, dict[str, Any]]
    for way, end in zip(WAYS, (theirs, ours), strict=True):
        given[way] = {name: end.outputs[old] for name, old in (("file", "o0"), ("folder", "o1"), ("frame", "o2"))}
    theirs, ours = place.both("reads", inputs=given)
    assert ours.o0 == theirs.o0 == "20 ['a.txt', 'b.html'] 6"


def test_a_second_try_goes_on_from_its_checkpoint(place: Place) -> None:
    assert [end.o0 for end in place.both("goes_on", n=3)] == [-1, -1]
    for way in WAYS:
        for one in list(place.store.list(f"{place.store.root}/{way}/goes_on/checkpoint")):
            place.store.put(one.uri.replace("/checkpoint", "/before", 1), place.store.get(one.uri))
    assert [end.o0 for end in place.both("goes_on", n=4)] == [3, 3]


def test_dynamic_tasks_hand_on_the_package(place: Place) -> None:
    theirs, ours = place.both("grown", n=2)
    jobs = [dynamic_job_pb2.DynamicJobSpec.FromString(end.files["futures.pb"]) for end in (theirs, ours)]
    commands = [list(job.tasks[0].container.args) for job in jobs]
    assert commands[0] == commands[1]
    assert place.package in commands[1]
    assert [len(job.nodes) for job in jobs] == [2, 2]


def test_maps(place: Place) -> None:
    env = {"BATCH_JOB_ARRAY_INDEX_VAR_NAME": "INDEX", "INDEX": "1"}
    theirs, ours = place.both("mapped", program="pyflyte-map-execute", env=env, n=[5, 6, 7])
    assert ours.o0 == theirs.o0 == 7


def test_decks_secrets_and_waiting(place: Place) -> None:
    theirs, ours = place.both("with_deck", n=1)
    assert sorted(ours.files) == sorted(theirs.files) == ["deck.html", "outputs.pb"]
    assert [end.o0 for end in place.both("waits", n=2)] == [2, 2]
    assert [end.o0 for end in place.both("secret", n=2)] == [8, 8]


def test_other_processes_and_last_words(place: Place) -> None:
    assert [end.o0 for end in place.both("starts_another", n=2)] == [6, 6]
    for end in place.both("says_at_the_end", n=1):
        assert end.status == 0
        assert all(words in end.log for words in ("a thread's last word", "at exit", "no end of line"))


@pytest.mark.parametrize("heeds", [0, 1])
def test_sigterm_reaches_the_program(place: Place, heeds: int) -> None:
    """One that does not ask for it ends at once, one that does goes on."""
    for way in WAYS:
        process = place.begin(way, "is_patient", {"n": heeds}, program="pyflyte-execute", fast=True)
        assert process.stdout is not None
        seen = ""
        while "waits" not in seen:
            line = process.stdout.readline()
            assert line, seen
            seen += line
        process.send_signal(signal.SIGTERM)
        end = place.end(way, "is_patient", process)
        if heeds:
            assert (end.status, end.o0) == (0, 1), way
            assert "asked to end" in end.log
        else:
            assert end.status in (256 - 15, 128 + 15), way
            assert not end.files


@pytest.mark.parametrize("name", ["inspect.py", "sitecustomize.py"])
def test_a_module_that_a_new_process_would_find_first_is_found(place: Place, name: str) -> None:
    own = ALSO_THE_LIBRARYS if name == "inspect.py" else "own = 1\n"
    place.pack({"buoys.py": ASKS.replace("NAME", name[:-3]).encode(), name: own.encode()})
    theirs, ours = place.both("one", n=1)
    assert ours.o0 == theirs.o0
    assert "own" in ours.o0


def test_what_is_not_there_is_told_as_flytekit_tells_it(place: Place) -> None:
    place.store.delete(place.package)
    theirs, ours = place.both("one", n=1)
    assert theirs.status == ours.status == 1
    assert "task execution code was not found" in ours.log


def test_keys_that_do_not_fit_leave_the_way_to_flytekit(place: Place) -> None:
    (place.folder / "home" / ".aws").mkdir()
    (place.folder / "home" / ".aws" / "config").write_text("[default]\nregion = us-east-1\n")
    theirs, ours = place.both("one", n=1)
    assert ours.o0 == theirs.o0 == 2


@pytest.mark.parametrize("program", ["pyflyte-execute", "pyflyte-fast-execute", "pyflyte-map-execute"])
def test_pods_start_flytekit_our_way_unless_somebody_said_otherwise(program: str) -> None:
    from scheduler.executors.kubernetes.cluster import Cluster

    argv = (program, "--inputs", "s3://b/i.pb")
    main = main_of(built(argv=argv, entry=0))
    assert main["args"] == start.wrapped(argv)
    assert [one["value"] for one in main["env"] if one["name"] == start.VARIABLE] == [start.code()]
    for made in (
        built(Cluster(runner="flytekit"), argv=argv, entry=0),
        built(argv=argv, entry=0, env={start.VARIABLE: "flytekit"}),
        built(Cluster(env={start.VARIABLE: "flytekit"}), argv=argv, entry=0),
        built(Cluster(), around(without_shell={"team/job:1"}), argv=argv, entry=0),
    ):
        assert main_of(made)["args"] == list(argv)
    whole = main_of(built(argv=argv, entry=1))
    assert whole["command"] + whole["args"] == start.wrapped(argv)
    other = main_of(built(argv=("torchrun", *argv), entry=0))
    assert other["args"] == ["torchrun", *argv]
    assert all(one["name"] != start.VARIABLE for one in other["env"])
