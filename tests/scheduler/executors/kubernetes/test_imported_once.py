"""What a program changes when it is imported, its tasks see as if each imported it itself; or it is not kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from artifacts.store import ObjectStore
from tests.scheduler.executors.kubernetes.test_reused_pod import BUOYS, Program
from tests.scheduler.executors.kubernetes.test_runner import Place

pytestmark = pytest.mark.e2e  # flytekit itself

BUOYS_LOOK = """
import gc, mmap, multiprocessing, os, random, resource, signal, subprocess, sys, tempfile, time
from pathlib import Path
from flytekit import task

def others(name):
    found = (Path("/proc") / one / "cmdline" for one in os.listdir("/proc") if one.isdigit())
    return [name for one in found if one.exists() and name in one.read_bytes().decode().split(chr(0))]

class Model:
    size = 3

{done}

@task
def look(n: int) -> str:
    return str({look})
"""
# What is done when it is imported, and what a task says of it
KEPT = {
    "variables": (
        "os.environ['SET'] = '1'; del os.environ['OF_THE_POD']",
        "(os.environ.get('SET'), os.environ.get('OF_THE_POD'))",
    ),
    "a variable of its own": ("os.environ.setdefault('OWN', 'anything')", "os.environ['OWN']"),
    "the time zone": ("os.environ['TZ'] = 'UTC-5'; time.tzset()", "time.timezone"),
    "the folder of temporary files": ("tempfile.tempdir = '/var/tmp'", "tempfile.gettempdir()"),
    "the mask of files": ("os.umask(0o027)", "os.umask(0)"),
    "a limit": (
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))",
        "resource.getrlimit(resource.RLIMIT_NOFILE)",
    ),
    "the import path": ("sys.path.insert(0, '/own')", "'/own' in sys.path"),
    "a handler": ("signal.signal(signal.SIGTERM, lambda *_: None)", "callable(signal.getsignal(signal.SIGTERM))"),
    "a handler of ends": ("signal.signal(signal.SIGCHLD, signal.SIG_IGN)", "signal.getsignal(signal.SIGCHLD)"),
    "the collector": ("gc.disable()", "gc.isenabled()"),
    "__main__": (
        "import __main__; __main__.Model = Model; IT = __main__.__file__",
        "(__import__('__main__').Model, IT)",
    ),
    "much output": ("print('x' * 3_000_000)", "n"),
    "processes forked later": ("", "multiprocessing.get_context('fork').Pool(1).map(abs, [-1])"),
    "processes begun later": (
        "from concurrent.futures import ProcessPoolExecutor",
        "ProcessPoolExecutor(1, multiprocessing.get_context('spawn')).submit(getattr, Model(), 'size').result()",
    ),
}
NOT_KEPT = {
    "another folder": ("os.chdir('/usr')", "os.getcwd()"),
    "a timer": ("signal.alarm(1000)", "signal.alarm(0) > 900"),
    "a timer of its CPU": (
        "signal.setitimer(signal.ITIMER_PROF, 1000)",
        "signal.getitimer(signal.ITIMER_PROF)[0] > 900",
    ),
    "an input that is closed": ("os.close(0)", "n"),
    "a process": ("subprocess.Popen(['sleep', '301'])", "others('301')"),
    "a process behind another": ("subprocess.run('sleep 302 >/dev/null 2>&1 &', shell=True)", "others('302')"),
    "memory of forks": ("MAP = mmap.mmap(-1, 8)", "(MAP[:1], MAP.write(b'x'))"),
    "a lock of forks": ("LOCK = multiprocessing.Lock()", "LOCK.acquire(timeout=0.1)"),
    "a folder that goes with it": ("OWN = tempfile.TemporaryDirectory()", "os.path.isdir(OWN.name)"),
    "a loop": ("import asyncio; LOOP = asyncio.new_event_loop()", "LOOP.run_until_complete(asyncio.sleep(0, 3))"),
    "a fork": ("if os.fork() == 0: sys.exit()", "os.wait()[1]"),
}


@pytest.fixture
def program(s3_store: ObjectStore, tmp_path: Path) -> Iterator[Program]:
    made = Program(Place(s3_store, tmp_path))
    yield made
    made.process.kill()


def looks(program: Program, done: str, look: str, *, once: bool) -> list[str]:
    """Of two tasks, one after the other."""
    program.place.pack({"buoys.py": BUOYS_LOOK.format(done=done, look=look).encode()})
    program.imported = BUOYS if once else None
    return [program.gives("look", env={"OWN": "the task's"}) for _ in range(2)]


def _is_kept(program: Program) -> bool:
    return bool(Path(f"/proc/{program.process.pid}/task/{program.process.pid}/children").read_text())


@pytest.mark.parametrize("what", [*KEPT, *NOT_KEPT])
def test_what_an_import_changes_is_seen_as_in_a_process_of_its_own(program: Program, what: str) -> None:
    told = {**KEPT, **NOT_KEPT}[what]
    own = looks(program, *told, once=False)
    assert looks(program, *told, once=True) == own
    assert _is_kept(program) == (what in KEPT)


@pytest.mark.parametrize(
    ("made", "drawn", "is_kept"),
    [
        ("import numpy; RNG = numpy.random.default_rng()", "RNG.random()", False),
        ("import numpy; RNG = numpy.random.RandomState()", "RNG.random_sample()", False),
        ("import random; RNG = random.Random()", "RNG.random()", False),
        ("import numpy", "numpy.random.random_sample()", True),
        ("import random, tempfile; tempfile.NamedTemporaryFile().close()", "random.random()", True),
    ],
)
def test_no_two_tasks_draw_the_same_unless_that_was_asked_for(
    program: Program, made: str, drawn: str, is_kept: bool
) -> None:
    first, second = looks(program, made, drawn, once=True)
    assert first != second and _is_kept(program) == is_kept


@pytest.mark.parametrize("made", ["import numpy; RNG = numpy.random.default_rng(3)", "RNG = random.Random(3)"])
def test_a_generator_with_a_seed_gives_each_task_the_same(program: Program, made: str) -> None:
    first, second = looks(program, made, "RNG.random()", once=True)
    assert first == second and _is_kept(program)


def test_what_a_task_wrote_into_its_code_while_others_ran_reaches_nobody_after_it(program: Program) -> None:
    program.place.pack({"buoys.py": WRITES})
    program.imported = BUOYS
    long = program.run("sleep", 60)
    program.hear("started")
    assert [program.gives("write"), program.gives("look")] == ["here", "nothing"]
    program.say(do="stop", id=long, grace=0)
    ended = program.hear("ended")
    assert (ended["id"], ended["why"], ended["code"]) == (long, "stopped", 137)


WRITES = b"""
import time
from pathlib import Path
from flytekit import task

OWN = Path(__file__).parent / "own.txt"

@task
def sleep(n: int) -> int:
    time.sleep(n)
    return n

@task
def write(n: int) -> str:
    OWN.write_text("here")
    return OWN.read_text()

@task
def look(n: int) -> str:
    return OWN.read_text() if OWN.exists() else "nothing"
"""
