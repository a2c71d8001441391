"""Modules that do to the process that imports them what forks of it must not have: no others suffer for that."""

from __future__ import annotations

import errno
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from scheduler.executors.base import Assignment
from scheduler.executors.local import fitness
from scheduler.executors.local.fitness import Fitness, KnownFitness
from scheduler.executors.local.warm import Zygote
from scheduler.executors.local.zygotes import Zygotes
from scheduler.phases import AttemptPhase
from tests.scheduler.executors.conftest import Bench, archive, crash, error
from tests.scheduler.executors.test_local_survival import is_running, wait_until

MODULE = """
import multiprocessing, os, random, signal, subprocess, sys, tempfile, threading, time
from pathlib import Path
from flytekit import task

IMPORTED_BY = os.getpid()
with open({imports!r}, "a") as file:
    file.write("{name}\\n")
{done}

@task
def look() -> str:
    return str({look})

@task
def waits_for(marker: str) -> int:
    while not Path(marker).exists():
        time.sleep(0.02)
    return 1
"""
IS_COLD = "IMPORTED_BY == os.getpid()"
THREAD = "threading.Thread(target=time.sleep, args=(300,), daemon=True, name='own').start()"
HAS_THREAD = "'own' in [thread.name for thread in threading.enumerate()]"


class Modules:
    """Of a program of its own."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench, self.imports = bench, folder / "imports"
        self.folder = folder / "program"
        self.folder.mkdir()
        bench.distribution = f"{bench.store.root}/uploads/{folder.name}.tar.gz"

    def make(self, look: str = IS_COLD, **modules: str) -> None:
        """By name what each does when it is imported, and what its task says."""
        for name, done in modules.items():
            text = MODULE.format(imports=str(self.imports), name=name, done=done, look=look)
            (self.folder / f"{name}.py").write_text(text)
        self.bench.store.put(self.bench.distribution, archive(self.folder))

    def submit(self, module: str, name: str = "look", **options: Any) -> Assignment:
        attempt = self.bench.task(name, module=module, **options)
        self.bench.executor.submit(attempt)
        return attempt

    def said(self, attempt: Assignment) -> str:
        ended = self.bench.wait_end(attempt)
        assert ended.outcome.phase == AttemptPhase.SUCCEEDED, error(ended).message
        return self.bench.outputs(ended).literals["o0"].scalar.primitive.string_value

    def look(self, *modules: str) -> list[str]:
        """What tasks of theirs say, one after the other."""
        return [self.said(self.submit(module)) for module in modules]

    def imported(self, module: str) -> int:
        return self.imports.read_text().splitlines().count(module)


@pytest.fixture
def modules(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Modules:
    monkeypatch.setattr(bench, "distribution", "")
    return Modules(bench, tmp_path)


@pytest.fixture
def own_modules(own_bench: Bench, tmp_path: Path) -> Modules:
    return Modules(own_bench, tmp_path)


def zygotes_of(bench: Bench) -> list[Zygote]:
    """Those that have imported a program."""
    own = bench.executor.pools.own
    return [*own.clones.values(), *own.retired]


# What is done when it is imported, and what each of its tasks must see, as in a process of its own
SPOILING = {
    "a thread": (THREAD, HAS_THREAD),
    "a generator": ("DICE = random.Random()", "True"),
    "a process": ("ONE = subprocess.Popen(['sleep', '300'])", "ONE.poll() is None"),
    "a process behind another": (
        "subprocess.run('sleep 300 & echo $! > ../slept', shell=True, stdout=subprocess.DEVNULL)",
        "Path('../slept').exists()",
    ),
    "a fork that comes back": ("ONE = os.fork() or sys.exit()", "os.waitpid(ONE, 0)[0] == ONE"),
    "a file": ("FILE = open('own', 'w')", "os.path.exists('own')"),
    "a lock of forks": ("LOCK = multiprocessing.Lock()", "LOCK.acquire(timeout=0.1)"),
    "a timer": ("signal.alarm(1000)", "signal.alarm(0) > 900"),
    "another folder": ("os.chdir('/usr')", "os.getcwd() == '/usr'"),
    "a folder that goes with it": ("OWN = tempfile.TemporaryDirectory()", "os.path.isdir(OWN.name)"),
    "signals that wait": (
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])",
        "signal.SIGCHLD in signal.pthread_sigmask(signal.SIG_BLOCK, ())",
    ),
    "a handler": ("signal.signal(signal.SIGTERM, print)", "signal.getsignal(signal.SIGTERM) is print"),
    "ends that are not heard": (
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
        "signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN",
    ),
}


@pytest.mark.e2e
@pytest.mark.parametrize("what", SPOILING)
def test_a_module_of_which_forks_must_not_have_all_is_imported_by_each_task_and_no_other_is(
    modules: Modules, what: str
) -> None:
    done, seen = SPOILING[what]
    modules.make(before="", after="")
    modules.make(f"({IS_COLD}, {seen})", spoils=done)
    assert modules.look("before", "spoils", "spoils") == ["False", "(True, True)", "(True, True)"]
    assert modules.look("after", "before", "spoils", "after") == ["False", "False", "(True, True)", "False"]
    assert [modules.imported(name) for name in ("before", "spoils", "after")] == [2, 4, 1]


@pytest.mark.e2e
def test_a_module_that_spoils_its_process_and_then_fails_is_not_there_for_others_either(modules: Modules) -> None:
    modules.make(HAS_THREAD, calm="")
    modules.make(fails=f"{THREAD}\nimport not_installed_anywhere")
    ended = modules.bench.wait_end(modules.submit("fails"))
    assert "not_installed_anywhere" in error(ended).message
    assert modules.look("calm", "calm") == ["False", "False"]
    assert modules.imported("calm") == 1


@pytest.mark.e2e
def test_a_module_that_only_fails_leaves_its_process_to_others(own_modules: Modules) -> None:
    own_modules.make(calm="", fails="import not_installed_anywhere")
    own_modules.look("calm")
    clones = zygotes_of(own_modules.bench)
    own_modules.bench.wait_end(own_modules.submit("fails"))
    assert own_modules.look("calm") == ["False"]
    assert zygotes_of(own_modules.bench) == clones and own_modules.imported("calm") == 1


@pytest.mark.e2e
def test_tasks_that_are_asked_for_while_a_process_is_spoilt_have_nothing_of_it(own_modules: Modules) -> None:
    own_modules.make(f"('spoils' in sys.modules, {HAS_THREAD})", calm="", later="")
    own_modules.make(spoils=f"time.sleep(0.5)\n{THREAD}", also=THREAD)
    own_modules.look("calm")
    spoils = own_modules.submit("spoils")
    others = [own_modules.submit(name, reuse=reuse) for reuse in (False, True) for name in ("calm", "later", "calm")]
    also = own_modules.submit("also")
    assert {own_modules.said(attempt) for attempt in others} == {"(False, False)"}
    assert [own_modules.said(attempt) for attempt in (spoils, also)] == ["True", "True"]


@pytest.mark.e2e
def test_no_more_processes_are_made_for_a_module_than_to_find_out(own_modules: Modules) -> None:
    own_modules.make(calm="", spoils=THREAD)
    own_modules.look("calm", "spoils", "calm")
    (clone,) = zygotes_of(own_modules.bench)
    own_modules.look(*["spoils", "calm"] * 3)
    assert zygotes_of(own_modules.bench) == [clone]
    assert [own_modules.imported(name) for name in ("spoils", "calm")] == [5, 2]


def retired(modules: Modules, marker: Path, *, spoils: str = THREAD, **options: Any) -> tuple[Assignment, Zygote]:
    """A task that waits for the marker, and the process above it, which another module has spoilt since."""
    modules.make(calm="", spoils=spoils)
    attempt = modules.submit("calm", "waits_for", inputs={"marker": str(marker)}, **options)
    modules.bench.wait_start(attempt)
    assert modules.look("spoils", "calm") == ["True", "False"]
    (zygote,) = modules.bench.executor.pools.own.retired
    assert zygote.process is not None and zygote.process.alive()
    return attempt, zygote


DEAFENING = {
    "ends that are not heard": "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    "nobody woken": "signal.set_wakeup_fd(-1)",
    "ends that wait": "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])",
}


@pytest.mark.e2e
@pytest.mark.parametrize("reuse", [False, True], ids=["own process", "shared process"])
@pytest.mark.parametrize("what", DEAFENING)
def test_a_spoilt_process_hears_of_ends_whatever_else_spoilt_it(
    own_modules: Modules, tmp_path: Path, what: str, reuse: bool
) -> None:
    deafening = f"{THREAD}\n{DEAFENING[what]}"
    attempt, _ = retired(own_modules, tmp_path / "never", spoils=deafening, reuse=reuse)
    process = own_modules.bench.executor.runs.by_id[attempt.attempt_id].process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    assert own_modules.bench.wait_end(attempt).outcome.phase == AttemptPhase.FAILED


def is_gone(zygote: Zygote) -> bool:
    return zygote.process is not None and not is_running(zygote.process.pid)


@pytest.mark.e2e
@pytest.mark.parametrize("reuse", [False, True], ids=["own process", "shared process"])
def test_a_spoilt_process_follows_the_tasks_that_it_has_and_then_goes(
    own_modules: Modules, tmp_path: Path, reuse: bool
) -> None:
    attempt, zygote = retired(own_modules, tmp_path / "go", reuse=reuse)
    below = {one.process.pid for one in zygote.workers if one.process is not None}
    (tmp_path / "go").touch()
    ended = own_modules.bench.wait_end(attempt)
    assert ended.outcome.phase == AttemptPhase.SUCCEEDED
    own_modules.bench._pump(lambda: is_gone(zygote) and not any(map(is_running, below)), 60)
    assert own_modules.bench.executor.pools.own.retired == []


@pytest.mark.e2e
def test_a_task_of_a_spoilt_process_can_be_cancelled(own_modules: Modules, tmp_path: Path) -> None:
    attempt, zygote = retired(own_modules, tmp_path / "never")
    own_modules.bench.executor.cancel(attempt.attempt_id)
    assert own_modules.bench.wait_end(attempt).outcome.phase == AttemptPhase.ABORTED
    own_modules.bench._pump(lambda: is_gone(zygote), 60)


@pytest.mark.e2e
def test_a_task_goes_on_whose_spoilt_process_is_killed(own_modules: Modules, tmp_path: Path) -> None:
    attempt, zygote = retired(own_modules, tmp_path / "go")
    (clone,) = own_modules.bench.executor.pools.own.clones.values()
    assert zygote.process is not None
    os.kill(zygote.process.pid, signal.SIGKILL)
    own_modules.bench._pump(lambda: own_modules.bench.executor.pools.own.retired == [], 60)
    (tmp_path / "go").touch()
    assert own_modules.bench.wait_end(attempt).outcome.phase == AttemptPhase.SUCCEEDED
    assert own_modules.look("calm") == ["False"]
    assert zygotes_of(own_modules.bench) == [clone]


@pytest.mark.e2e
@pytest.mark.parametrize("ended", [False, True], ids=["goes on", "ends meanwhile"])
def test_a_task_of_a_spoilt_process_is_found_by_the_next_executor(
    own_modules: Modules, tmp_path: Path, ended: bool
) -> None:
    attempt, zygote = retired(own_modules, tmp_path / "go")
    bench, directory = own_modules.bench, own_modules.bench.executor.runs.by_id[attempt.attempt_id].directory
    crash(bench)
    wait_until(lambda: is_gone(zygote))
    assert bench.executor.pools.own.retired == []
    if ended:
        (tmp_path / "go").touch()
        wait_until(lambda: directory.result() is not None)
    bench.new_executor()
    bench.executor.adopt(attempt)
    (tmp_path / "go").touch()
    assert bench.wait_end(attempt).outcome.phase == AttemptPhase.SUCCEEDED


@pytest.mark.e2e
def test_what_an_import_started_ends_with_the_attempt_to_import_it_once(own_modules: Modules, tmp_path: Path) -> None:
    started = tmp_path / "started"
    begin = f"subprocess.Popen(['sh', '-c', 'echo $$ >> {started}; exec sleep 300'])"
    wait = f"while not os.path.exists({str(started)!r}): time.sleep(0.01)"
    own_modules.make(spoils=f"{begin}\n{wait}")
    assert own_modules.look("spoils") == ["True"]
    wait_until(lambda: not any(is_running(int(pid)) for pid in started.read_text().split()))


# Each begins another in a session of its own, four levels below what the module begins, and waits for it
BEGINS_OTHERS = """
echo $$ >> "$1"
if [ $2 = 0 ]; then touch "$1.all"; exec sleep 300; fi
setsid sh "$0" "$1" $(($2 - 1)) &
wait
"""


@pytest.mark.e2e
def test_what_an_import_started_ends_with_all_below_it(own_modules: Modules, tmp_path: Path) -> None:
    script, started = tmp_path / "begins.sh", tmp_path / "started"
    script.write_text(BEGINS_OTHERS)
    begin = f"subprocess.Popen(['sh', '{script}', '{started}', '4'])"
    wait = f"while not os.path.exists('{started}.all'): time.sleep(0.01)"
    only_in_zygotes = "os.path.basename(os.getcwd()) == 'work'"
    own_modules.make(spoils=f"if not {only_in_zygotes}:\n    {begin}\n    {wait}")
    assert own_modules.look("spoils") == ["True"]
    wait_until(lambda: not any(is_running(int(pid)) for pid in started.read_text().split()))


@pytest.mark.e2e
def test_only_the_module_is_blamed_that_kills_the_process(own_modules: Modules) -> None:
    names = [f"dies{number}" for number in range(6)]
    dies = "os.path.basename(os.getcwd()) == 'work' or os.kill(os.getpid(), signal.SIGKILL)"  # only in a zygote
    own_modules.make(calm="", **dict.fromkeys(names, dies))
    attempts = [own_modules.submit(name) for name in [*names, "calm"]]
    assert [own_modules.said(attempt) for attempt in attempts] == [*["True"] * 6, "False"]


@pytest.mark.e2e
@pytest.mark.parametrize("what", ["random", "numpy"])
@pytest.mark.parametrize("first", [False, True], ids=["after another", "before others"])
def test_what_a_module_seeds_its_own_tasks_have_and_no_others(modules: Modules, what: str, first: bool) -> None:
    seeds = {"random": "random.seed(7)", "numpy": "import numpy.random\nnumpy.random.seed(7)"}[what]
    drawn = {"random": "random.random()", "numpy": "numpy.random.rand()"}[what]
    modules.make(drawn, seeds=seeds, **dict.fromkeys(("before", "after"), "import numpy.random"))
    others = [] if first else modules.look("before", "before")
    own = modules.look("seeds", "seeds")
    others += modules.look("after", "before", "after", "before")
    own += modules.look("seeds")
    assert len(set(own)) == 1 and len(set(others)) == len(others)
    assert modules.imported("seeds") == (1 if first else 2), "it is kept warm"
    assert modules.imported("after") == 1
    assert modules.imported("before") == (1 if first else 2)


def test_of_modules_not_more_is_remembered_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitness, "MOST", 2)
    known = KnownFitness()
    known.note("program", "a", Fitness.COLD)
    known.note("program", "b", Fitness.ALONE)
    assert known.of("program", "a") == Fitness.COLD
    known.note("program", "c", Fitness.COLD)
    assert [known.of("program", name) for name in "abc"] == [Fitness.COLD, Fitness.WARM, Fitness.COLD]
    known.note("program", "a", Fitness.ALONE)
    assert known.of("program", "a") == Fitness.ALONE and known.of("other", "a") == Fitness.WARM


class Told:
    """Zygotes of which the first is none: what becomes of attempts that they were given."""

    def __init__(self, folder: Path) -> None:
        self.lost: list[Path] = []
        self.zygotes = Zygotes(lambda message: None, self.lost.extend, home=folder)
        ours, self.theirs = socket.socketpair()
        self.zygotes.base = Zygote(ours)

    def run(self, name: str, module: str = "m", **options: Any) -> None:
        self.zygotes.run(Path(name), key="program", code=Path("code"), module=module, env={}, **options)

    def hear_imported(self, zygote: Zygote, **said: bool) -> None:
        self.zygotes._heard(zygote, {"is": "imported", "module": "m", "problem": "", **said})


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    made = Told(tmp_path)
    yield made
    made.zygotes.stop()
    made.theirs.close()


def test_a_process_that_a_module_has_alone_is_not_given_up_for_those_that_waited_behind_it(told: Told) -> None:
    told.zygotes.warm_limit = 1
    told.run("a")
    told.run("b", "other")
    (clone,) = told.zygotes.clones.values()
    told.hear_imported(clone, alone=True)
    others = set(told.zygotes.clones.values()) - {clone}
    assert clone.runs == {Path("a")} and [list(one.waiting) for one in others] == [["other"]]


def test_what_waits_for_a_process_of_its_own_goes_to_that_which_another_became_meanwhile(told: Told) -> None:
    """What is known of the module was forgotten in between."""
    told.zygotes.fitness.note("program", "m", Fitness.ALONE)
    told.run("a")
    (first,) = told.zygotes.clones.values()
    told.zygotes.fitness = KnownFitness()
    told.run("b")
    (second,) = set(told.zygotes.clones.values()) - {first}
    told.hear_imported(second, alone=True)
    assert list(told.zygotes.clones.values()) == [second] and told.zygotes.retired == []
    assert second.runs == {Path("a"), Path("b")}


def test_a_process_is_not_kept_for_attempts_that_could_not_be_handed_to_it(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.run("a")
    (clone,) = told.zygotes.clones.values()
    told.hear_imported(clone)
    clone.runs.clear()  # it has ended
    monkeypatch.setattr(told.zygotes._workers, "deal_out", Mock(side_effect=OSError(errno.EMFILE, "too many files")))
    with told.zygotes.gathering.together():
        told.run("b", reuse=True)
    assert told.lost == [Path("b")] and not clone.runs
