"""Reading rules that people wrote as JSON: each member has its type, and what is unknown is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from artifacts.exceptions import InvalidArgument
from artifacts.measures import is_number

MAX_TEXT = 255


class Members:
    """The members of one object. Each is taken once, by its type; `done` refuses what was not taken.

    InvalidArgument says which member is wrong, what it is and what is allowed.
    """

    def __init__(self, found: object, what: str) -> None:
        if not isinstance(found, Mapping):
            raise InvalidArgument(f"{what} must be an object of names and values, not {found!r}"[:300])
        self.what, self._found, self._known = what, dict(found), list[str]()

    def _take(self, name: str) -> Any:
        self._known.append(name)
        return self._found.get(name)

    def _refuse(self, name: str, value: object, allowed: str) -> InvalidArgument:
        return InvalidArgument(f"{self.what}: '{name}' must be {allowed}, not {str(value)[:80]!r}")

    def number(self, name: str, *, least: float | None = None, most: float | None = None) -> float | None:
        value = self._take(name)
        if value is None:
            return None
        inside = is_number(value) and (least is None or value >= least) and (most is None or value <= most)
        if not inside:
            bounds = "".join(
                f", {word} {bound:g}" for word, bound in (("at least", least), ("at most", most)) if bound is not None
            )
            raise self._refuse(name, value, f"a finite number{bounds}")
        return float(value)

    def whole(self, name: str, *, least: int, most: int) -> int | None:
        value = self._take(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self._refuse(name, value, f"a whole number from {least} to {most}")
        return int(value)

    def text(self, name: str, *, required: bool = False) -> str:
        value = self._take(name)
        if value is None and not required:
            return ""
        if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or "\x00" in value:
            raise self._refuse(name, value, f"a text of 1 to {MAX_TEXT} characters")
        return value

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        value = self._take(name)
        if value is None:
            return default
        if value not in allowed:
            raise self._refuse(name, value, f"one of {', '.join(allowed)}")
        return str(value)

    def flag(self, name: str, default: bool = False) -> bool:
        value = self._take(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self._refuse(name, value, "true or false")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._take(name)
        if value is None:
            return ()
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) and one for one in value):
            raise self._refuse(name, value, "a list of texts")
        if len(set(value)) < len(value):
            raise self._refuse(name, value, "a list without repetitions")
        return tuple(value)

    def mapping(self, name: str) -> dict[str, str]:
        value = self._take(name)
        if value is None:
            return {}
        if not isinstance(value, Mapping) or not all(isinstance(one, str) for pair in value.items() for one in pair):
            raise self._refuse(name, value, "an object of names and texts")
        return dict(value)

    def mapping_of_any(self, name: str) -> dict[str, Any]:
        value = self._take(name)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self._refuse(name, value, "an object")
        return dict(value)

    def objects(self, name: str) -> list[Any]:
        value = self._take(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._refuse(name, value, "a list of objects")
        return list(value)

    def done(self) -> None:
        if unknown := sorted(set(self._found) - set(self._known)):
            known = ", ".join(sorted(self._known)) or "none"
            raise InvalidArgument(f"{self.what} has {', '.join(unknown)[:200]}; known are: {known}")
