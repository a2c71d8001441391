"""Environment variables of tasks: what an operating system has no place for, and what says nothing to us, is refused
where it is said.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from artifacts.exceptions import InvalidArgument

SWITCHES = {"CAUSEWAY_REUSE": ("0", "1")}  # of ours, with what they may say: else a slip would be silent
MAX_BYTES = 128 * 1024 - 1  # of `name=value`: Linux takes no longer string for a new process


class Variable(Protocol):
    @property
    def key(self) -> str: ...

    @property
    def value(self) -> str: ...


def check_environment(variables: Iterable[Variable], what: str = "envs") -> None:
    """Raises InvalidArgument for the first name or value that no process can have."""
    for variable in variables:
        check_variable(variable.key, variable.value, what)


def check_variable(name: str, value: str, what: str = "envs") -> None:
    shown = repr(name[:80])
    if not name:
        raise InvalidArgument(f"{what}: an environment variable has no name")
    if "=" in name or "\x00" in name:
        raise InvalidArgument(
            f"{what}: the name of an environment variable holds no '=' or NUL character, as {shown} does"
        )
    if "\x00" in value:
        raise InvalidArgument(f"{what}: the value of {shown} holds a NUL character")
    if name in SWITCHES and value not in SWITCHES[name]:
        raise InvalidArgument(f"{what}: {name} is {' or '.join(SWITCHES[name])}, not {value[:80]!r}")
    if len(name.encode()) + len(value.encode()) + 1 > MAX_BYTES:
        raise InvalidArgument(f"{what}: {shown} is longer than {MAX_BYTES} bytes")
