"""Processes of an earlier run that outlived it: its supervisor was killed and could not stop them."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import psutil

from console.supervisor.paths import Home


def _note(file: Path) -> tuple[int, str] | None:
    """Pid and, of a fork of the supervisor, when it began: in the kernel's clock, which makes the two unique."""
    try:
        pid, began = (file.read_text().split() + [""])[:2]
        return int(pid), began
    except (OSError, ValueError):
        return None


def _belongs(process: psutil.Process, began: str, name: str, home: Home) -> bool:
    """Pid numbers are reused: one of ours says so in its environment or arguments, or began when it noted that."""
    if began:
        return began == began_at(process.pid)
    try:
        environment = process.environ()
        if (
            environment.get("CAUSEWAY_HOME") == str(home.root)
            and environment.get("CAUSEWAY_PROCESS", "supervisor") == name
        ):
            return True
        return name == "supervisor" and str(home.run / "supervisord.conf") in process.cmdline()
    except psutil.Error:
        return False


def began_at(pid: int) -> str:
    """Linux: the boot's id and the ticks since then at which the process began; empty where that cannot be read."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[19]}"
    except (OSError, IndexError):
        return ""


def running(home: Home) -> dict[str, psutil.Process]:
    """The control plane's processes that run with this data directory, by name; user tasks are not among them."""
    found = {}
    for file in sorted(home.run.glob("*.pid")):
        if (noted := _note(file)) is None:
            continue
        with contextlib.suppress(psutil.NoSuchProcess):
            if _belongs(process := psutil.Process(noted[0]), noted[1], file.stem, home):
                found[file.stem] = process
    return found


def stop_leftovers(home: Home, *, patience: float = 10.0) -> list[str]:
    """Stop what an earlier run left, the supervisor first so that it restarts nothing. Returns the names."""
    names = []
    for kind in (["supervisor"], None, ["postgres", "valkey"]):
        chosen = {
            name: process
            for name, process in running(home).items()
            if (name in kind if kind else name not in {"postgres", "valkey"})
        }
        for name, process in chosen.items():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
        _, stubborn = psutil.wait_procs(list(chosen.values()), timeout=patience)
        for process in stubborn:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(stubborn, timeout=2)
        names += list(chosen)
    for file in home.run.glob("*.pid"):
        file.unlink(missing_ok=True)
    return names
