"""Starts and stops the whole embedded set-up. `script/up` and the end-to-end tests use the same code."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from console.redaction import redact
from console.supervisor import preflight, roles
from console.supervisor.errors import CannotStart
from console.supervisor.fingerprint import is_prepared, note_prepared
from console.supervisor.leftovers import running, stop_leftovers
from console.supervisor.processes import ROOT, Options, configuration, core, shared_environment

_SETTINGS = b"\0\0\0\4\0\0\0\0\0"  # HTTP/2's first frame, of either side: no settings, type 4
PORT_SECONDS = 5.0


def _die_with_parent() -> None:
    """Linux: have the supervisor stop everything when the process that started it is killed outright."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Stack:
    """One set of processes. `say` receives a line of progress whenever a longer step begins."""

    def __init__(self, options: Options, *, say: Callable[[str], None] = lambda line: None) -> None:
        self.options = options
        self.home = options.home
        self.env = {**os.environ, **shared_environment(options)}  # an empty value means: as if it were not set
        self.env = {name: value for name, value in self.env.items() if value or name not in options.environment}
        self._say = say
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._began = 0.0  # seconds since 1970: signs of life from before are somebody else's

    def clear_leftovers(self) -> None:
        """Stop what an interrupted run left behind with this data directory."""
        left = stop_leftovers(self.home)
        if left:
            self._say(f"stopped what an interrupted run left: {', '.join(left)}")

    def start(self) -> None:
        """Start everything, and prepare the database if this code has not yet prepared it."""
        self.clear_leftovers()
        self._began = time.time()
        self._start_supervisor()
        if core(self.options):
            fresh = self.options.postgres and not (self.home.postgres / "PG_VERSION").exists()
            self._say("making the database" if fresh else "starting the database and the broker")
            self._rpc("startProcessGroup", "core")
        prepared = is_prepared(self.options)
        self.home.unprepared.unlink(missing_ok=True) if prepared else self.home.unprepared.touch()
        if prepared or (self.options.postgres and sys.platform == "linux"):
            # Before there is anything of the others' settings (warm.py); it waits for the database if need be.
            self._rpc("startProcess", "app:executor", False)
        warming = self._meanwhile("causeway.warm")  # Causeway is imported while the servers begin
        self._wait_for_core()
        if not prepared:
            if self.options.postgres:
                roles.prepare(self.home)
            self._say("migrating the database and collecting static files")
            warming.join()
            self.manage_warm(["bootstrap", "--no-static"], ["bootstrap", "--only-static", "--skip-checks"])
            note_prepared(self.options)
            self.home.unprepared.unlink()
        warming.join()
        # The console first: on two cores everything at once would make everybody wait for the last import.
        self._start_console()
        self._say("starting rpc, workers and executor")
        self._rpc("startProcessGroup", "app", False)
        preflight.check_alone(self.home, self.options.bind, self.options.http_port, option="--http-port")
        self.home.flyte_config.write_text(self.flyte_config())
        self.home.flyte_config.chmod(0o600)

    def _start_console(self) -> None:
        self._say("starting the console")
        where = (self.options.bind, self.options.http_port)
        deadline = time.monotonic() + PORT_SECONDS  # what an interrupted run left may still be about to end
        while True:
            try:
                preflight.check_port(*where, option="--http-port")
                break
            except CannotStart:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        self._rpc("startProcess", "app:web", False)
        self._until(lambda: self.answers("/healthz"), seconds=120, what="web")

    def flyte_config(self) -> str:
        """What flytekit has to know to reach this set-up, and to print links that lead to its console."""
        console = self.env.get("CAUSEWAY_PUBLIC_URL") or self.http_url
        admin: dict[str, object] = {"endpoint": self.grpc_endpoint, "insecure": True}
        if self.env.get("CAUSEWAY_GRPC_AUTH") != "open":
            # flytekit and flytectl run the command when a call is refused, and send what it prints
            admin |= {"authType": "ExternalCommand", "command": ["cat", str(self.home.admin_token)]}
        return json.dumps({"admin": admin, "console": {"endpoint": console}}, indent=2) + "\n"  # JSON is YAML

    def _start_supervisor(self) -> None:
        config = self.home.run / "supervisord.conf"
        config.unlink(missing_ok=True)
        config.touch(mode=0o600)  # before there is a password in it
        config.write_text(configuration(self.options))
        self.home.supervisor_socket.unlink(missing_ok=True)
        self._supervisor = subprocess.Popen(
            [sys.executable, "-m", "console.supervisor.warm", "--configuration", str(config)],
            env={**self.env, "CAUSEWAY_PROCESS": "supervisor"},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=(self.home.logs / "supervisor.out").open("ab"),
            stderr=subprocess.STDOUT,
            umask=0o077,
            start_new_session=True,  # Ctrl-C is for us alone; we then stop the processes in order
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - started before any thread
        )
        self._until(self.home.supervisor_socket.exists, seconds=20, what="the supervisor")

    def _rpc(self, method: str, *arguments: object) -> Any:
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, f"unix://{self.home.supervisor_socket}")
        with ServerProxy("http://127.0.0.1", transport=transport) as server:
            return getattr(server, method if "." in method else f"supervisor.{method}")(*arguments)

    def _meanwhile(self, method: str) -> Thread:
        """Have the supervisor do it while we do something else. What goes wrong is said by what is started next."""

        def ask() -> None:
            if sys.platform == "linux":  # elsewhere nothing is a fork
                with contextlib.suppress(Exception):
                    self._rpc(method)

        thread = Thread(target=ask, daemon=True)
        thread.start()
        return thread

    def _wait_for_core(self) -> None:
        if self.options.postgres:
            self._until(self._postgres_is_ready, seconds=120, what="postgres")
        if self.options.valkey:
            self._until(self._valkey_is_ready, seconds=30, what="valkey")
        if self.options.door is not None:
            self._until(self.options.door.is_open, seconds=30, what="store")

    def _postgres_is_ready(self) -> bool:
        try:
            lines = (self.home.postgres / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        process = running(self.home).get("postgres")
        return len(lines) > 7 and lines[7].strip() == "ready" and process is not None and lines[0] == str(process.pid)

    def _valkey_is_ready(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            try:
                client.connect(str(self.home.valkey_socket))
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")
            except OSError:
                return False

    def _until(self, condition: Callable[[], bool], *, seconds: float, what: str, every: float = 0.05) -> None:
        """Wait until `condition` holds; otherwise say which log to read."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline or (self._supervisor is not None and self._supervisor.poll() is not None):
                log = self.home.logs / f"{what.rsplit(' ', 1)[-1]}.log"
                raise CannotStart(f"{what} did not start, see {log}{_last_line(log)}")
            time.sleep(every)

    def manage(self, *arguments: str) -> str:
        """Run a management command in the set-up's environment; returns what it printed."""
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        done = subprocess.run(command, env=self.env, cwd=ROOT, capture_output=True, text=True, umask=0o077)
        return self._printed(arguments, done.returncode, done.stdout, done.stderr)

    def manage_warm(self, *commands: Sequence[str]) -> list[str]:
        """As `manage`, of several at once, in forks of the supervisor where that is possible: they import nothing."""
        if sys.platform != "linux":
            return [self.manage(*arguments) for arguments in commands]
        done = self._rpc("causeway.manage", [list(arguments) for arguments in commands])
        return [self._printed(arguments, *one) for arguments, one in zip(commands, done, strict=True)]

    def _printed(self, arguments: Sequence[str], code: int, output: str, errors: str) -> str:
        with (self.home.logs / "manage.log").open("a") as log:
            log.write(redact(output + errors))
        if code:
            lines = errors.strip().splitlines() or ["no output"]
            reason = next((line for line in lines if "(causeway." in line), lines[-1])  # a failed check, or the end
            raise CannotStart(f"manage.py {arguments[0]} failed: {reason} (see {self.home.logs / 'manage.log'})")
        return output.strip()

    @property
    def http_url(self) -> str:
        """Where this machine reaches the web process."""
        return f"http://{self._host}:{self.options.http_port}"

    @property
    def grpc_endpoint(self) -> str:
        """Where this machine reaches the gRPC door."""
        return f"{self._host}:{self.options.grpc_port}"

    @property
    def _host(self) -> str:
        bind = self.options.bind
        local = {"127.0.0.1", "0.0.0.0", "::1", "::"}  # noqa: S104 - comparing, not binding
        return "localhost" if bind in local else bind

    def answers(self, path: str = "/healthz") -> bool:
        """Whether the web process answers this path with success."""
        try:
            with urllib.request.urlopen(f"{self.http_url}{path}", timeout=5) as response:  # noqa: S310 - our own URL
                return bool(response.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def wait_ready(self, *, seconds: float = 120.0) -> None:
        """Wait until everything behind the console works and the gRPC door is open."""

        def is_ready() -> bool:
            return self._speaks_grpc() and self.answers(f"/readyz?since={self._began}")

        self._until(is_ready, seconds=seconds, what="rpc or /readyz of web", every=0.1)
        preflight.check_alone(self.home, self.options.bind, self.options.grpc_port, option="--grpc-port")

    def _speaks_grpc(self) -> bool:
        """Whether calls are served: the port is open before they are, and gRPC's own client is heavy to import here."""
        try:
            with socket.create_connection((self._host, self.options.grpc_port), timeout=1) as client:
                client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _SETTINGS)
                return client.recv(9)[3:4] == _SETTINGS[3:4]
        except OSError:
            return False

    def pids(self) -> dict[str, int]:
        """The pid of every running process of this set-up, by name."""
        return {name: process.pid for name, process in running(self.home).items()}

    @property
    def supervisor(self) -> int:
        """The pid of the process that supervises the others; 0: there is none."""
        return self._supervisor.pid if self._supervisor is not None else 0

    def stop(self) -> None:
        """Stop everything, apps before the servers they use. User tasks go on."""
        if self._supervisor is not None:
            with contextlib.suppress(ProcessLookupError):
                self._supervisor.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._supervisor.wait(45)
        stop_leftovers(self.home)
        self._supervisor = None


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return f" ({lines[-1][:200]})" if lines else ""


__all__ = ["Fault", "Stack"]
