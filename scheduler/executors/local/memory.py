"""How much memory an attempt's processes use."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection

PAGE = os.sysconf("SC_PAGE_SIZE")


def by_session(sessions: Collection[int]) -> dict[int, list[int]]:
    """The pids of each session: every attempt is a session, so this finds what its process started, too."""
    members: dict[int, list[int]] = defaultdict(list)
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as stat:
                    session = int(stat.read().rpartition(")")[2].split()[3])
            except (FileNotFoundError, ProcessLookupError, PermissionError):  # gone, or hidden from us (hidepid)
                continue
            if session in sessions:
                members[session].append(int(entry))
    return members


def exists(pid: int) -> bool:
    """Whether there is a process of that number, a zombie included."""
    return os.path.exists(f"/proc/{pid}")


def resident(pids: Collection[int]) -> int:
    """Bytes in memory, pages shared with others included: cheap, and never too little."""
    return sum(_field(f"/proc/{pid}/statm", 1) * PAGE for pid in pids)


def proportional(pids: Collection[int]) -> int:
    """Bytes in memory, a shared page counting in parts: exact, and several times as expensive to find out."""
    return sum(_pss(pid) for pid in pids)


def kernel_kills() -> int:
    """How many processes the kernel has killed since boot because memory ran out, here or in our control group."""
    total = 0
    for path in ("/proc/vmstat", "/sys/fs/cgroup/memory.events"):
        try:
            with open(path, "rb", buffering=0) as file:
                counters = b"\n" + file.read()
        except OSError:
            continue
        _, _, found = counters.partition(b"\noom_kill ")
        total += int(found.partition(b"\n")[0] or 0)
    return total


def _field(path: str, index: int) -> int:
    try:
        with open(path) as file:
            return int(file.read().split()[index])
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0


def _pss(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            for line in file:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        return 0
    except PermissionError:  # another user's: then pages shared with others count in full
        return resident([pid])
    return 0
