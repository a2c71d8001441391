"""A pod that stays: flytekit is imported once, tasks come in as lines of JSON, each runs in a fork of its own.

Lines come through the standard input of process 1, answers leave through its standard output; neither reaches a task.
Of a task nothing is left for the next: a fork has its memory, its environment is made anew, its folder (work, home,
temporary files) and whatever it left running go at its end. Executor and pod may lose one another at any moment: what
ended is told again until it is forgotten on demand.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import gc
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, NoReturn

from . import main as command

CHUNK = 48 << 10
PIPE_SECONDS = 0.5  # for which the last words of an ended task are waited for, where something holds its output open
# prctl: whether others of the same user may look into a process (memory, environment, open files); whether it is the
# parent of descendants who lost theirs.
DUMPABLE, REAPER = 4, 36
REHEARSALS = 10
KNOWN_AT_HOME = (".aws", ".flyte", ".uctl", ".config")  # says how to reach the store
ASKING = {signal.SIGTERM}
GROUPS_EVENTS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")


class Refused(Exception):
    """This task needs a pod of its own; nothing of it has run."""


class Task:
    """One that runs, or has ended and is not forgotten."""

    def __init__(self, told: dict[str, Any], root: str) -> None:
        self.id, self.limit = int(told["id"]), int(told.get("log") or 0)
        self.seconds = float(told.get("timeout") or 0)
        self.folder = f"{root}/{self.id}"
        self.log = f"{root}/{self.id}.log"
        self.pid, self.pipe = 0, -1
        self.written = self.left_out = self.sent = 0  # bytes of its log
        self.began, self.kill_at = time.time(), 0.0
        self.why = ""  # it was stopped by us: "stopped" or "timeout"
        self.ooms = _ooms()
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
        self.here, self.home = os.getcwd(), os.path.expanduser("~")
        self.environment = dict(os.environ)
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
        _prctl(DUMPABLE, 0)
        _prctl(REAPER, 1)  # where an entry point of the image is process 1
        os.makedirs(self.root, exist_ok=True)
        self.say({"is": "ready"})
        while not (self.closing and not self.running()):
            self._turn()
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
            _signal(task.pid, signal.SIGTERM)

    def _turn(self) -> None:
        dues = [task.due for task in self.running() if task.due] or [self.heard_at + self.silence]
        pipes = {task.pipe: task for task in self.running() if task.pipe >= 0}
        wait = max(0.0, min(dues) - time.time())
        found, _, _ = select.select([self.words, self.wake, *pipes], [], [], min(wait, 60.0))
        for one in found:
            if one in pipes:
                self._take_log(pipes[one])
        if self.wake in found:
            with contextlib.suppress(BlockingIOError):
                os.read(self.wake, 4096)
            self._collect()
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
            _remove(task.log)

    def _tell_state(self, told: dict[str, Any]) -> None:
        runs = {task.id: task.began for task in self.running()}
        ended = [task.end for task in self.tasks.values() if task.end is not None]
        self.say({"is": "state", "of": told.get("of"), "runs": list(runs.items()), "ended": ended})

    # --- tasks come and go --------------------------------------------------------------------------------------------

    def _begin(self, told: dict[str, Any]) -> None:
        task = Task(told, self.root)
        try:
            argv = _understood(told["argv"], self.here)
            self._folders(task)
            task.pipe, pipe = os.pipe()
            sys.stdout.flush(), sys.stderr.flush()
            signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)  # not to be heeded by a fork that is not itself yet
            task.pid = os.fork()
        except Exception as error:  # noqa: BLE001 - whatever it is: another pod may do better
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKING)
            _remove(task.folder)
            self.say({"is": "refused", "id": task.id, "why": f"{type(error).__name__}: {error}"})
            return
        if task.pid == 0:
            self._become(task, argv, told["env"], pipe)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKING)
        os.close(pipe)
        os.set_blocking(task.pipe, False)
        self.tasks[task.id] = task
        self.say({"is": "started", "id": task.id, "at": task.began})

    def _folders(self, task: Task) -> None:
        for name in ("work", "temporary", "home"):
            os.makedirs(f"{task.folder}/{name}", mode=0o700)

    def _become(self, task: Task, argv: list[str], env: dict[str, str], pipe: int) -> NoReturn:
        """In the fork: the process that a pod of its own would have started."""
        status = 1
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKING)
            for end in (1, 2):
                os.dup2(pipe, end)
            for end in (*self._own, pipe, *(other.pipe for other in self.tasks.values() if other.pipe >= 0)):
                os.close(end)
            _prctl(DUMPABLE, 1)
            work, home = f"{task.folder}/work", f"{task.folder}/home"
            if os.path.realpath(self.home) == os.path.realpath(self.here):
                home = work  # as in the image
            os.chdir(work)
            own = {"TMPDIR": f"{task.folder}/temporary", "HOME": home}
            os.environ.clear()
            os.environ.update({**self.environment, **own, **env, "PWD": work})
            tempfile.tempdir = None
            if hasattr(time, "tzset"):
                time.tzset()
            _link_into(self.home, home, lambda name: name in KNOWN_AT_HOME)  # read before its code is there
            command.main(argv, lambda: self._lay_image(work, home))
        except SystemExit as error:
            status = command.status_of(error)
        except BaseException as error:  # noqa: BLE001 - as an interpreter ends
            sys.excepthook(type(error), error, error.__traceback__)
        finally:
            os._exit(status)

    def _lay_image(self, work: str, home: str) -> None:
        """What the image has in its folder and its user's home is seen in the task's own, beside what is its own."""
        _link_into(self.here, work)
        if home != work:
            _link_into(self.home, home, lambda name: name != ".cache")

    def _stop(self, task: Task, why: str, grace: float) -> None:
        task.why = task.why or why
        _signal(task.pid, signal.SIGTERM if grace else signal.SIGKILL)
        task.kill_at = time.time() + max(grace, 1.0)

    def _watch_time(self) -> None:
        now = time.time()
        for task in self.running():
            if task.kill_at and now >= task.kill_at:
                _signal(task.pid, signal.SIGKILL)
                task.kill_at = now + 1.0
            elif not task.why and task.seconds and now >= task.began + task.seconds:
                self._stop(task, "timeout", 0.0)
        if not self.running() and now >= self.heard_at + self.silence:
            self.closing = True

    def _collect(self) -> None:
        """Whoever has ended: tasks, and what they left behind, whose parent is process 1."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            task = next((one for one in self.running() if one.pid == pid), None)
            if task is not None:
                self._over(task, status)

    def _over(self, task: Task, status: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(task.pid, signal.SIGKILL)  # it is gone itself
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        end: dict[str, Any] = {
            "is": "ended",
            "id": task.id,
            "code": 128 + number if number else os.WEXITSTATUS(status),
            "why": task.why or ("oom" if number == signal.SIGKILL and _ooms() > task.ooms else ""),
            "began": task.began,
            "at": time.time(),
        }
        others = [one for one in self.running() if one is not task]
        if not others:
            _end_everything()
        self._last_words(task)
        task.end = end
        end["log"] = task.written
        self.say(end)
        _remove(task.folder)
        if not others:
            self._tidy()

    def _tidy(self) -> None:
        """Nothing runs: whatever lies where tasks may leave something is nobody's."""
        kept = {"", *(os.path.basename(task.log) for task in self.tasks.values())}
        for folder in (*self.shared, self.root):
            with contextlib.suppress(OSError):
                for name in os.listdir(folder):
                    path = f"{folder}/{name}"
                    if path != self.root and not (folder == self.root and name in kept):
                        _remove(path)

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


def _link_into(source: str, target: str, wanted: Callable[[str], bool] = lambda name: True) -> None:
    with contextlib.suppress(OSError):
        for name in filter(wanted, os.listdir(source)):
            there, here = os.path.join(source, name), os.path.join(target, name)
            if not os.path.lexists(here):
                os.symlink(there, here)
            elif os.path.isdir(there) and os.path.isdir(here) and not os.path.islink(here):
                _link_into(there, here)


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(Exception):  # not Linux's C library: what it guards against is then only unlikely
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _signal(pid: int, number: int) -> None:
    """A task's group, and itself where it has not got one yet."""
    for send in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            send(pid, number)


def _end_everything() -> None:
    """Of the pod, but this process."""
    if os.getpid() == 1:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        return
    for _ in range(50):  # whose parent ends becomes ours
        left = _children()
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, 0)


def _children() -> list[int]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, ValueError), open(f"/proc/{name}/stat") as file:
            if int(file.read().rpartition(")")[2].split()[1]) == os.getpid():
                found.append(int(name))
    return found


def _ooms() -> int:
    """How many processes of the container were killed for want of memory so far."""
    for path in GROUPS_EVENTS:
        with contextlib.suppress(OSError, ValueError), open(path) as file:
            for line in file:
                name, _, count = line.partition(" ")
                if name == "oom_kill":
                    return int(count)
    return 0


def _remove(path: str) -> None:
    """A file or a folder, whatever its modes say."""

    def again(_: Any, name: str, __: Any) -> None:
        with contextlib.suppress(OSError):
            os.chmod(os.path.dirname(name), 0o700)
            os.chmod(name, 0o700)
            shutil.rmtree(name, ignore_errors=True) if os.path.isdir(name) else os.unlink(name)

    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, onerror=again)
        return
    with contextlib.suppress(OSError):
        os.unlink(path)
