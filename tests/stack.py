"""The complete set of real processes for end-to-end tests, started by the same code as `script/up`."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from flytekit.configuration import AuthType, Config, PlatformConfig

from console.supervisor.connector.setup import Here
from console.supervisor.paths import Home
from console.supervisor.processes import Options
from console.supervisor.s3_door import door
from console.supervisor.stack import Stack


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RunningStack:
    """What a test may know about the running set-up."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.home = stack.home.root
        self.http_url = stack.http_url
        self.grpc_endpoint = f"127.0.0.1:{stack.options.grpc_port}"
        self.env = stack.env
        self.flyte_config_file = stack.home.flyte_config

    @property
    def admin_token(self) -> str:
        return self._stack.home.admin_token.read_text().strip()

    def flyte_config(self) -> Config:
        """For `FlyteRemote(stack.flyte_config(), ...)`."""
        command = ["cat", str(self._stack.home.admin_token)]
        platform = PlatformConfig(
            endpoint=self.grpc_endpoint, insecure=True, auth_mode=AuthType.EXTERNALCOMMAND, command=command
        )
        return Config(platform=platform)

    def manage(self, *arguments: str) -> str:
        return self._stack.manage(*arguments)

    def pids(self) -> dict[str, int]:
        """postgres, valkey, web, rpc, worker-1, worker-2, slow, executor, supervisor: pid of each that runs."""
        return self._stack.pids()

    def pid(self, name: str) -> int | None:
        """The pid of the process of that name, or of the first whose name begins so (`worker`)."""
        return next(
            (pid for found, pid in sorted(self.pids().items()) if found == name or found.startswith(f"{name}-")), None
        )

    def kill(self, name: str, signal_number: int = signal.SIGKILL) -> int | None:
        """Send the signal to a process by name; returns its pid, or None when it is down at this moment."""
        pid = self.pid(name)
        if pid is None:
            return None
        try:
            psutil.Process(pid).send_signal(signal_number)
        except psutil.NoSuchProcess:
            return None
        return pid

    def answers(self, path: str = "/healthz") -> bool:
        return self._stack.answers(path)

    def wait_ready(self, seconds: float = 60.0) -> None:
        self._stack.wait_ready(seconds=seconds)


def options(home: Path, s3: str = "", *, connectors: str = "", **environment: str) -> Options:
    """Options for a set-up of its own: free ports, and nothing of what the test run put into the environment.

    `s3`: as `script/up --s3-door` takes it; `connectors`: the Python whose connectors are served, as `script/up
    --connectors` has it; empty: none.
    """
    here = Here(connectors, free_port()) if connectors else None
    if here is not None:
        environment["CAUSEWAY_CONNECTORS"] = here.setting(environment.get("CAUSEWAY_CONNECTORS", ""))
    inherited = {name: "" for name in os.environ if name.startswith("CAUSEWAY_")}
    home.mkdir(parents=True, exist_ok=True)
    own = door(Home(home), environment, s3, say=lambda line: None) if s3 else None
    return Options(
        home=Home(home),
        bind="127.0.0.1",
        http_port=free_port(),
        grpc_port=free_port(),
        postgres=True,
        valkey=True,
        environment={**inherited, "DATABASE_URL": "", "REDIS_URL": "", **environment},
        door=own,
        connector=here,
    )


@contextmanager
def running_stack(home: Path, s3: str = "", *, connectors: str = "", **environment: str) -> Iterator[RunningStack]:
    """A complete set-up in `home`, ready to use; everything is stopped at the end."""
    umask = os.umask(0o077)  # as `script/up` does
    stack = Stack(options(home, s3, connectors=connectors, **environment))
    stack.home.make_directories(stack.env.get("CAUSEWAY_TASK_USER", ""))
    try:
        stack.start()
        stack.wait_ready()
        os.umask(umask)
        yield RunningStack(stack)
    finally:
        os.umask(umask)
        stack.stop()
