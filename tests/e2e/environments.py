"""Virtual environments for tests of what does not go with Causeway's own libraries."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

SDK = Path(__file__).parents[2] / "sdk"
UV = Path(sys.executable).parent / "uv"
UNREACHABLE = ("failed to fetch", "could not connect", "no matching distribution", "connection error", "dns error")


def environment(pinned: Path, home: Path, *, with_sdk: bool = False) -> Path:
    """The folder of the commands of a new one in `home`. Where its packages cannot be had the test is skipped.

    CAUSEWAY_LAB_NAME names the commands of one that was made before of NAME.txt.

    :param with_sdk: install this checkout's SDK in it, as its users do
    """
    if ready := os.environ.get(f"CAUSEWAY_LAB_{pinned.stem.upper()}"):
        return Path(ready)
    venv.create(home, symlinks=True)
    if UV.exists():
        installer = [str(UV), "pip", "install", "--compile-bytecode", "--python", str(home)]
    else:
        installer = [sys.executable, "-m", "pip", "--python", str(home), "install"]
    wanted = ["-r", str(pinned), *(["-e", str(SDK)] if with_sdk else [])]
    done = subprocess.run([*installer, *wanted], capture_output=True, text=True, timeout=600)
    if done.returncode and any(words in done.stderr.lower() for words in UNREACHABLE):
        pytest.skip(f"the packages of {pinned.name} cannot be had here: {done.stderr.strip()[-300:]}")
    assert done.returncode == 0, done.stderr
    return home / "bin"
