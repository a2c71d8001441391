"""A pod that stays: flytekit is imported once, tasks come in as lines of JSON, each runs in a fork of its own.

Lines come through the standard input of process 1, answers leave through its standard output; neither reaches a task.
Of a task nothing is left for the next: a fork has its memory, its environment is made anew, its folder (work, home,
temporary files) and whatever it left running go at its end. Executor and pod may lose one another at any moment: what
ended is told again until it is forgotten on demand.
"""

from __future__ import annotations

import base64
import contextlib
import gc
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

from . import main as command
from . import processes
from .program import Program, become

CHUNK = 48 << 10
PIPE_SECONDS = 0.5  # for which the last words of an ended task are waited for, where something holds its output open
REHEARSALS = 10
ASKING = {signal.SIGTERM}


class Refused(Exception):
    """This task needs a pod of its own; nothing of it has run."""


class Task:
    """One that runs, or has ended and is not forgotten."""

    def __init__(self, told: dict[str, Any], root: str) -> None:
        self.id, self.limit = int(told["id"]), int(told.get("log") or 0)
        self.seconds = float(told.get("timeout") or 0)
        self.folder = f"{root}/{self.id}"
        self.log = f"{root}/{self.id}.log"
        self.pid, self.pipe, self.output = 0, -1, -1  # both ends of what it says
        self.written = self.left_out = self.sent = 0  # bytes of its log
        self.began, self.kill_at = time.time(), 0.0
        self.why = ""  # it was stopped by us: "stopped" or "timeout"
        self.ooms = processes.ooms()
        self.end: dict[str, Any] | None = None

    @property
    def due(self) -> float:
        """When something has to be done about it, as `time.time` counts; 0: never."""
        return self.kill_at or (self.began + self.seconds if self.seconds else 0.0)


class Pool:
    def __init__(self, silence: float, root: str, shared: list[str]) -> None:
        """`silence`: seconds without a word from anybody after which an idle pod ends by itself; `root`: the folder for
        those of tasks; `shared`: folders where tasks may leave something besides, which nobody else needs.
        """
        self.root, self.shared = root, shared
        self.silence, self.heard_at = silence, time.time()
        self.tasks: dict[int, Task] = {}
        self.unread = b""
        self.closing = False
        self.program: Program | None = None
        self.unfit: set[str] = set()  # programs that are not imported first any more
        self.image = processes.Image()
        self.words, self.out = os.dup(0), os.dup(1)
        self.wake, wakes = os.pipe()
        for end in (self.wake, wakes):
            os.set_blocking(end, False)
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(2, 1)  # what imports print is no answer
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._asked_to_end)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        self._own = (self.words, self.out, self.wake, wakes)

    def run(self) -> NoReturn:
        processes.prctl(processes.DUMPABLE, 0)
        processes.prctl(processes.REAPER, 1)  # where an entry point of the image is process 1
        os.makedirs(self.root, exist_ok=True)
        self.say({"is": "ready"})
        while not (self.closing and not self.running()):
            self._turn()
        self._let_go()
        sys.exit(0)

    def running(self) -> list[Task]:
        return [task for task in self.tasks.values() if task.end is None]

    def say(self, message: dict[str, Any]) -> None:
        data = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        while data:
            data = data[os.write(self.out, data) :]

    def _asked_to_end(self, *_: object) -> None:
        """The pod is being deleted."""
        self.closing = True
        for task in self.running():
            task.why = task.why or "closing"
            if task.pid:
                processes.send(task.pid, signal.SIGTERM)
            else:
                task.kill_at = time.time()

    def _turn(self) -> None:
        dues = [task.due for task in self.running() if task.due] or [self.heard_at + self.silence]
        pipes = {task.pipe: task for task in self.running() if task.pipe >= 0}
        wait = max(0.0, min(dues) - time.time()) if self.program is None or not self.program.has_more else 0.0
        asked: list[Any] = [self.program.socket] if self.program is not None else []
        found, _, _ = select.select([self.words, self.wake, *pipes, *asked], [], [], min(wait, 60.0))
        for one in found:
            if one in pipes:
                self._take_log(pipes[one])
        if self.wake in found:
            with contextlib.suppress(BlockingIOError):
                os.read(self.wake, 4096)
            self._collect()
        if asked and asked[0] in found or self.program is not None and self.program.has_more:
            self._hear_program()
        if self.words in found:
            self._listen()
        self._watch_time()

    # --- what is asked ------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        data = os.read(self.words, 1 << 16)
        self.heard_at = time.time()
        if not data:  # nobody can say anything any more
            self.closing = True
            return
        *lines, self.unread = (self.unread + data).split(b"\n")
        for line in filter(None, lines):
            try:
                told = json.loads(line)
            except ValueError:  # the rest of what somebody said who was cut off
                continue
            self._heed(told)

    def _heed(self, told: dict[str, Any]) -> None:
        what, task = told.get("do"), self.tasks.get(int(told.get("id") or 0))
        if what == "run" and task is None and not self.closing:
            self._begin(told)
        elif what == "state":
            self._tell_state(told)
        elif what == "ping":
            self.say({"is": "alive"})
        elif what == "log" and task is not None:
            task.sent = int(told.get("from") or 0)
            self._send_log(task)
        elif what == "stop" and task is not None and task.end is None:
            self._stop(task, "stopped", float(told.get("grace") or 0))
        elif what == "forget" and task is not None and task.end is not None:
            del self.tasks[task.id]
            processes.remove(task.log)

    def _tell_state(self, told: dict[str, Any]) -> None:
        runs = {task.id: task.began for task in self.running()}
        ended = [task.end for task in self.tasks.values() if task.end is not None]
        self.say({"is": "state", "of": told.get("of"), "runs": list(runs.items()), "ended": ended})

    # --- tasks come and go --------------------------------------------------------------------------------------------

    def _begin(self, told: dict[str, Any]) -> None:
        task, wanted = Task(told, self.root), told.get("program") or {}
        key = str(wanted.get("key") or "")
        try:
            told["argv"] = _understood(told["argv"], self.image.here)
            if self.program is not None and self.program.key != key:
                self._let_go()
            if self.program is None and key and key not in self.unfit:
                self._import(key, wanted, told["argv"])  # before there is anything of the task that it could hold
            self._folders(task.folder)
            task.pipe, task.output = os.pipe()
            os.set_blocking(task.pipe, False)
        except Exception as error:  # noqa: BLE001 - whatever it is: another pod may do better
            self._refuse(task, error)
            return
        self.tasks[task.id] = task
        if self.program is not None and not self.program.ready:
            self.program.waiting.append((task, told))
        elif not self._fork(task, told):
            return
        self.say({"is": "started", "id": task.id, "at": task.began})

    def _refuse(self, task: Task, error: Exception) -> None:
        self.tasks.pop(task.id, None)
        for end in (task.pipe, task.output):
            if end >= 0:
                os.close(end)
        processes.remove(task.folder)
        self.say({"is": "refused", "id": task.id, "why": f"{type(error).__name__}: {error}"})

    def _folders(self, folder: str) -> None:
        for name in ("work", "temporary", "home"):
            os.makedirs(f"{folder}/{name}", mode=0o700)

    def _fork(self, task: Task, told: dict[str, Any]) -> bool:
        """Its process: a fork of its program where that is imported, else of this one. Whether there could be one."""
        if any(one.pid for one in self.running()) and self.program is not None and self.program.is_changed():
            self._let_go(unfit=True)  # by one that ended while others ran
        if self.program is not None and self.program.ready:
            order = {"argv": told["argv"], "env": told["env"], "folder": task.folder}
            try:
                task.pid = self.program.fork(order, task.output)
            except (OSError, ValueError):
                self._let_go(unfit=True)
                processes.end_children({other.pid for other in self.running()})  # it may have forked after all
        try:
            task.pid = task.pid or self._child(lambda: self._be_a_task(task, told))
        except OSError as error:
            self._refuse(task, error)
            return False
        os.close(task.output)
        return True

    def _child(self, be: Callable[[], NoReturn]) -> int:
        sys.stdout.flush(), sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)  # not to be heeded by a fork that is not itself yet
        try:
            pid = os.fork()
            if pid == 0:
                processes.to_the_end(be)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKING)
        return pid

    def _be_a_task(self, task: Task, told: dict[str, Any]) -> NoReturn:
        """In the fork: the process that a pod of its own would have started."""
        self._own_process(task.output)
        processes.prctl(processes.DUMPABLE, 1)
        self.image.move_into(task.folder, told["env"])
        command.main(told["argv"], self.image.lay)

    def _own_process(self, output: int) -> None:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKING)
        for end in (1, 2):
            os.dup2(output, end)
        theirs = [self.program.socket.detach()] if self.program is not None else []
        pipes = [other.pipe for other in self.tasks.values() if other.pipe >= 0]
        for end in (*self._own, output, *pipes, *theirs):
            os.close(end)

    # --- a program that is imported once ------------------------------------------------------------------------------

    def _import(self, key: str, wanted: dict[str, Any], argv: list[str]) -> None:
        made = Program(key, f"{self.root}/program")
        processes.remove(made.folder)
        self._folders(made.folder)
        made.pid = self._child(lambda: self._be_a_program(made, wanted, argv))
        made.its.close()
        self.program = made

    def _be_a_program(self, made: Program, wanted: dict[str, Any], argv: list[str]) -> NoReturn:
        self.program = made
        said = os.open(f"{made.folder}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        self._own_process(said)
        self.image.move_into(made.folder, wanted["env"])
        become(made.its, self.image, str(wanted["module"]), argv)

    def _hear_program(self) -> None:
        """It is imported, or will not be, or a fork of it has ended."""
        program = self.program
        if program is None:
            return
        try:
            said = program.hear()
        except (OSError, ValueError):
            said = [{"is": "gone"}]
        for told in said:
            if told.get("is") == "ended":
                self._ended(told["pid"], told["status"])
            elif told.get("is") != "imported":
                self._let_go(unfit=True)
                return
            else:
                program.imported()
                waiting, program.waiting = program.waiting, []
                for task, its in waiting:
                    self._fork(task, its)

    def _let_go(self, *, unfit: bool = False) -> None:
        """The program ends; tasks that wait for it import it themselves."""
        program, self.program = self.program, None
        if program is None:
            return
        if unfit:
            self.unfit.add(program.key)
        for told in program.close():
            if told.get("is") == "ended":
                self._ended(told["pid"], told["status"])
        if not any(one.pid for one in self.running()):
            processes.end_everything()  # what its import started
        for task in [one for one in self.running() if one.pid and processes.parent(one.pid) != os.getpid()]:
            self._over(task, signal.SIGKILL)  # it ended, and nobody is left who knows how: its files tell
        for path in (program.folder, f"{program.folder}.log"):
            processes.remove(path)
        for task, told in program.waiting:
            self._fork(task, told)

    def _end_unborn(self, task: Task) -> None:
        """It waits for its program, which ends with it."""
        if self.program is not None:
            self.program.waiting = [one for one in self.program.waiting if one[0] is not task]
            self._let_go()
        os.close(task.output)
        self._over(task, signal.SIGKILL if task.why == "timeout" else signal.SIGTERM)

    def _stop(self, task: Task, why: str, grace: float) -> None:
        task.why = task.why or why
        number = signal.SIGTERM if grace else signal.SIGKILL
        if task.pid:
            processes.send(task.pid, number)
        task.kill_at = time.time() + (max(grace, 1.0) if task.pid else 0.0)

    def _watch_time(self) -> None:
        now = time.time()
        for task in self.running():
            if task.kill_at and now >= task.kill_at and not task.pid:
                self._end_unborn(task)
            elif task.kill_at and now >= task.kill_at:
                processes.send(task.pid, signal.SIGKILL)
                task.kill_at = now + 1.0
            elif not task.why and task.seconds and now >= task.began + task.seconds:
                self._stop(task, "timeout", 0.0)
        if not self.running() and now >= self.heard_at + self.silence:
            self.closing = True

    def _collect(self) -> None:
        """Whoever has ended: tasks, and what they left behind, whose parent is process 1."""
        for pid, status in processes.reaped():
            if self.program is not None and pid == self.program.pid:
                self._let_go(unfit=True)
            else:
                self._ended(pid, status)

    def _ended(self, pid: int, status: int) -> None:
        task = next((one for one in self.running() if one.pid == pid), None)
        if task is not None:
            self._over(task, status)

    def _over(self, task: Task, status: int) -> None:
        if task.pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(task.pid, signal.SIGKILL)  # it is gone itself
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        end: dict[str, Any] = {
            "is": "ended",
            "id": task.id,
            "code": 128 + number if number else os.WEXITSTATUS(status),
            "why": task.why or ("oom" if number == signal.SIGKILL and processes.ooms() > task.ooms else ""),
            "began": task.began,
            "at": time.time(),
        }
        others = [one for one in self.running() if one is not task]
        if not others:
            processes.end_everything(self.program.pid if self.program is not None else 0)
        self._last_words(task)
        task.end = end
        end["log"] = task.written
        self.say(end)
        processes.remove(task.folder)
        if not others:
            if self.program is not None and self.program.is_changed():
                self._let_go(unfit=True)
            self._tidy()

    def _tidy(self) -> None:
        """Nothing runs: whatever lies where tasks may leave something is nobody's."""
        kept = {"", *(os.path.basename(task.log) for task in self.tasks.values())}
        kept |= {"program", "program.log"} if self.program is not None else set()
        for folder in (*self.shared, self.root):
            with contextlib.suppress(OSError):
                for name in os.listdir(folder):
                    path = f"{folder}/{name}"
                    if path != self.root and not (folder == self.root and name in kept):
                        processes.remove(path)

    # --- logs ---------------------------------------------------------------------------------------------------------

    def _take_log(self, task: Task) -> bool:
        """Whether there was something."""
        try:
            data = os.read(task.pipe, CHUNK)
        except BlockingIOError:
            return False
        if not data:
            os.close(task.pipe)
            task.pipe = -1
            return False
        room = max(0, task.limit - task.written) if task.limit else len(data)
        task.left_out += len(data) - len(data[:room])
        self._write_log(task, data[:room])
        return True

    def _write_log(self, task: Task, data: bytes) -> None:
        if data:
            with open(task.log, "ab") as file:
                file.write(data)
            task.written += len(data)
            self._send_log(task)

    def _send_log(self, task: Task) -> None:
        if task.sent >= task.written:
            return
        with open(task.log, "rb") as file:
            file.seek(task.sent)
            while data := file.read(CHUNK):
                said = base64.b64encode(data).decode()
                self.say({"is": "log", "id": task.id, "at": task.sent, "data": said})
                task.sent += len(data)

    def _last_words(self, task: Task) -> None:
        until = time.time() + PIPE_SECONDS
        while task.pipe >= 0 and self._take_log(task) and time.time() < until:
            pass
        if task.pipe >= 0:
            os.close(task.pipe)
            task.pipe = -1
        if task.left_out:
            said = f"\n[Causeway left out {task.left_out} bytes here: a log may have {task.limit} bytes]\n"
            self._write_log(task, said.encode())


def serve(argv: list[str]) -> NoReturn:
    """`argv`: a word for people, and what `Pool` takes."""
    pool = Pool(float(argv[1]), argv[2], argv[3:])
    gc.disable()
    with contextlib.suppress(Exception):  # then each task tells what is wrong
        __import__("flytekit.bin.entrypoint")
        __import__("docstring_parser").parse("Patterns that every task would compile.")
        _rehearse()
    gc.collect()
    gc.freeze()  # what is shared with the forks stays so
    gc.enable()
    pool.run()


def _rehearse() -> None:
    """Of what each task begins with, all that is flytekit's and changes nothing: its caches are filled once then, and
    its code is fast (the interpreter rewrites what has run some times), for all forks together.
    """
    from flytekit.bin.entrypoint import execute_task_cmd
    from flytekit.configuration import ImageConfig, SerializationSettings

    told = SerializationSettings(ImageConfig.auto(img_name="of/an:image"), "project", "domain", "v").serialized_context
    words = ["--inputs", "i", "--output-prefix", "o", "--raw-output-data-prefix", "r", "--resolver", "r", "--", "t"]
    for _ in range(REHEARSALS):
        SerializationSettings.from_transport(told)
        execute_task_cmd.make_context("pyflyte-execute", list(words))


def _understood(argv: list[str], here: str) -> list[str]:
    """The command, with the image's own folder, which nobody may write, replaced by the task's."""
    if os.path.basename(argv[0]) != command.FAST:
        return argv
    _, place, _ = command.understood(argv)
    if os.path.realpath(place) != os.path.realpath(here):
        raise Refused(f"its code is to be unpacked into {place}")
    return [*argv[:4], ".", *argv[5:]]
