"""A file whose time says that a process still goes round its loop: what has no door is asked by it whether it hangs.

CAUSEWAY_PULSE names the file; without it nothing is written. Whoever looks restarts a process whose file is old.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

SECONDS = 10.0  # between two beats, about


def beat() -> None:
    """From the loop itself, and from nowhere that goes on while it hangs."""
    if place := os.environ.get("CAUSEWAY_PULSE"):
        with contextlib.suppress(OSError):  # a disk that is full is told by others
            Path(place).touch()
