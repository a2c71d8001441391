"""What a task's process gets of its secrets: variables, files, and where flytekit is told to look for them."""

from __future__ import annotations

import base64
import html
import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import quote, quote_plus

from artifacts.exceptions import InvalidArgument
from scheduler.secrets.names import ANY, ENV_VAR, FILE, Name, Request

V = TypeVar("V", str, bytes)
LONGEST_VARIABLE = 100_000  # bytes; the kernel takes 128 KiB for one variable, its name included


@dataclass
class Mounts:
    """`paths`: variables that hold the place of a file, by the file."""

    env: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()  # texts that messages must not show
    elsewhere: tuple[Request, ...] = ()  # what is not set here, and the place that runs the attempt is asked for

    def as_json(self) -> str:
        """For the file that the task's process reads and removes."""
        files = {path: base64.b64encode(value).decode() for path, value in self.files.items()}
        return json.dumps({"env": self.env, "files": files, "paths": self.paths})

    def __repr__(self) -> str:  # an error that shows its variables must not show these
        return f"<{len(self.env)} variables and {len(self.files)} files>"


def mount(
    found: Collection[tuple[Request, Name, bytes]], masked: Mapping[Name, Collection[bytes]] | None = None
) -> Mounts:
    """`found`: what was asked for, the secret that answers it, and its value; `masked`: what of it messages must not
    show, where that is not all of it.

    Where the platform may choose, the secret is there both ways, and the variable of its own choosing holds the file's
    path, as in Flyte, whose choice is the file; it is a file only where another secret has the same variable: `a`/`b_c`
    and `a_b`/`c`. InvalidArgument if a value cannot be given in the way that is asked
    for, or if two secrets would have one name inside the task.
    """
    mounts = Mounts()
    shared = Counter(name.variable for name in {name for _, name, _ in found})
    for request, name, value in sorted(found, key=lambda one: bool(one[1].version)):
        for alias in (name, name.without_version()) if name.version else (name,):
            alone = shared[alias.variable] <= (1 if alias == name else 0)
            _add(mounts, request, alias, value, exact=alias == name, variable=request.mount == ENV_VAR or alone)
    parts = masked or {}
    secret = [part for _, name, value in found for part in parts.get(name, (value,))]
    shown = {text for part in secret for text in _as_shown(_text(part))}
    mounts.hidden = tuple(sorted(shown, key=lambda text: (-len(text), text)))
    return mounts


def _as_shown(value: str) -> set[str]:
    """How messages may show the value, or a part of it: flytekit indents the lines of an error, `repr` and JSON escape,
    addresses are quoted, decks are HTML.
    """
    found = {text.strip() for text in (value, *value.splitlines())}
    for text in tuple(found):
        found |= {repr(text)[1:-1], json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
        found |= {quote(text, safe=""), quote_plus(text)}
        found |= {html.escape(text), html.escape(text, quote=False)}
    return found - {""}


def _add(mounts: Mounts, request: Request, alias: Name, value: bytes, *, exact: bool, variable: bool) -> None:
    text = _text(value)
    fits = bool(text or not value) and "\x00" not in text and len(value) <= LONGEST_VARIABLE
    if request.mount == ENV_VAR and not fits:
        raise InvalidArgument(
            f"the secret {alias} cannot be an environment variable: it is binary or longer than {LONGEST_VARIABLE} "
            "bytes; ask for it with mount_requirement FILE"
        )
    if request.mount in (ENV_VAR, ANY) and fits and variable:
        _put(mounts.env, alias.variable, text, alias, exact=exact)
    if request.mount in (FILE, ANY):
        _put(mounts.files, alias.path, value, alias, exact=exact)
    if request.env_var and exact:
        if request.mount == ENV_VAR:
            _put(mounts.env, request.env_var, text, alias, exact=True)
        else:
            _put(mounts.paths, request.env_var, alias.path, alias, exact=True)


def _put(places: dict[str, V], place: str, value: V, name: Name, *, exact: bool) -> None:
    """A second secret for one place is refused; the short form of a version's name gives way to what has it."""
    taken = places.get(place)
    if taken is None:
        places[place] = value
    elif exact and taken != value:
        raise InvalidArgument(f"the task asks for two secrets that would both be {place} inside it; one is {name}")


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return ""
