"""Whether a connector service can be started here, and how."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from console.supervisor.errors import CannotStart
from scheduler.executors.store_keys import store_keys

NAME = "here"  # of the connector that `script/up --connectors` starts
SERVE = Path(__file__).resolve().parent / "serve.py"
NEEDED = {"flytekit": "flytekit", "prometheus_client": "prometheus-client", "httpx": "httpx"}  # module: package
SECONDS = 60


@dataclass(frozen=True)
class Here:
    """A service that is started with the rest. `python`: whose flytekit, plug-ins and modules it has."""

    python: str
    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        return [self.python, str(SERVE), self.address]

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """How flytekit there reaches the store. `env`: what the other processes get."""
        return store_keys(env)

    def setting(self, before: str) -> str:
        """CAUSEWAY_CONNECTORS with this one beside those that were set."""
        return ",".join([*([before] if before else []), f"{NAME}={self.address}"])


def check(python: str) -> None:
    """CannotStart if that Python has not what the service needs; the message says what, and how to get it."""
    if not os.access(python, os.X_OK):
        raise CannotStart(f"--connectors: {python} is no program that can be run")
    code = f"import importlib.util as u; print(*[n for n in {list(NEEDED)} if u.find_spec(n) is None])"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=SECONDS)
    if done.returncode:
        raise CannotStart(f"--connectors: {python} is no Python: {done.stderr.strip()[-200:]}")
    if missing := done.stdout.split():
        packages = " ".join(NEEDED[name] for name in missing)
        raise CannotStart(f"--connectors: {', '.join(missing)} missing; install: {python} -m pip install {packages}")
