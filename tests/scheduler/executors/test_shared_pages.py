"""A zygote for one program is a fork of the base zygote, and goes on sharing what that has imported."""

from __future__ import annotations

import json
import re
import socket
import sys
from array import array
from pathlib import Path

import pytest

from scheduler.executors.local import births

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="tells what is shared from /proc")


def own(pid: int) -> int:
    """MB that this process alone has."""
    found = re.search(r"Private_Dirty: +(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text())
    return int(found[1]) // 1024 if found else 0


def ready(channel: socket.socket) -> int:
    told: dict[str, int] = json.loads(channel.makefile().readline())
    return told["pid"]


def test_a_clone_copies_little_of_what_it_is_forked_from(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    clones, end = socket.socketpair()
    with ours, theirs, clones, end:
        process = births.born(sys.executable, tmp_path, None, theirs)
        theirs.close()
        base = ready(ours)
        alone = own(base)
        order = json.dumps(births.clone_order(tmp_path, {}, None, tmp_path)).encode() + b"\n"
        ours.sendmsg([order], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [end.fileno()]))])
        end.close()
        clone = ready(clones)
        assert alone > 40
        assert own(clone) < alone / 4
        assert own(base) < alone / 4
    process.wait(10)
