"""Environment variables of tasks: what an operating system has no place for is refused where it is said, and so are
values of Causeway's own settings that mean nothing: taken for the default, they would do what nobody asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from artifacts.exceptions import InvalidArgument

REUSE = "CAUSEWAY_REUSE"
MAX_BYTES = 128 * 1024 - 1  # of `name=value`: Linux takes no longer string for a new process


@dataclass(frozen=True)
class Setting:
    """Of Causeway's, that a task or a launch gives among its variables. `values`: None, a number from 0 up."""

    values: tuple[str, ...] | None
    meaning: str

    def allows(self, value: str) -> bool:
        if self.values is not None:
            return value in self.values
        return value.isascii() and value.replace(".", "", 1).isdigit()


SETTINGS: Mapping[str, Setting] = {
    REUSE: Setting(("0", "1"), "1 (attempts may share a process or a pod) or 0 (each has its own)"),
    "CAUSEWAY_RUNNER": Setting(("causeway", "flytekit"), "causeway or flytekit"),
    "CAUSEWAY_MOUNTS_DAYS": Setting(None, "a number of days, 0 or more"),
}


class Variable(Protocol):
    @property
    def key(self) -> str: ...

    @property
    def value(self) -> str: ...


def check_environment(variables: Iterable[Variable], what: str = "envs") -> None:
    """Raises InvalidArgument for the first name or value that no process can have, or that is no value of a setting."""
    for variable in variables:
        check_variable(variable.key, variable.value, what)
        check_setting(variable.key, variable.value, what)


def check_setting(name: str, value: str, what: str = "envs") -> None:
    setting = SETTINGS.get(name)
    if setting is not None and not setting.allows(value):
        raise InvalidArgument(f"{what}: {name} is {value[:80]!r}; it may be {setting.meaning}")


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
    if len(name.encode()) + len(value.encode()) + 1 > MAX_BYTES:
        raise InvalidArgument(f"{what}: {shown} is longer than {MAX_BYTES} bytes")
