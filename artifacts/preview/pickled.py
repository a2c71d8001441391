"""Reads what a pickled model says of itself, without running anything of it.

A pickle is a program that names classes and calls them. Here every name leads to an inert stand-in: no module is
imported, no code of anybody runs, and what is left is a tree of names, texts and numbers. joblib writes arrays between
the program's parts; they are passed over. Run in the process of `reading`, whose time and memory the kernel bounds.
"""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

MOST_ROWS = 200
DEEPEST = 4
SHOWN = 200  # characters of a value
LONGEST = 20  # items of a list that is shown
_ARRAYS = frozenset({"NumpyArrayWrapper", "NDArrayWrapper"})
_PIECE = 1 << 20


class StandIn:
    """An object of a class that is only known by its name."""

    name = ""

    def __new__(cls, *args: Any, **_: Any) -> StandIn:
        made = object.__new__(cls)
        made.__dict__["given"] = args
        return made

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        """Of a dict's subclass: nothing of it is shown."""

    def append(self, item: Any) -> None:
        """Of a list's subclass."""

    def extend(self, items: Any) -> None:
        """Likewise."""

    def add(self, item: Any) -> None:
        """Of a set's."""

    def __hash__(self) -> int:
        return id(self)


def _stand_in(name: str) -> type[StandIn]:
    return type("StandInOf", (StandIn,), {"name": name})


_InPython: Any = pickle._Unpickler  # the one that is written in Python: its steps can be changed


class _Reader(_InPython):  # type: ignore[misc]
    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self._file = file
        self.dispatch = {**_InPython.dispatch, pickle.BUILD[0]: _Reader.build}

    def find_class(self, module: str, name: str) -> type[Any]:
        if (module, name) == ("collections", "OrderedDict"):
            return dict  # as harmless, and what torch keeps all its tensors in
        return _stand_in(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> StandIn:
        return _stand_in("elsewhere")()

    def get_extension(self, code: int) -> None:
        raise pickle.UnpicklingError("extension codes are not followed")

    def build(self) -> None:
        state = self.stack.pop()
        made = self.stack[-1]
        if not isinstance(made, StandIn):
            return
        parts = state if isinstance(state, tuple) else (state,)
        for part in parts:
            if isinstance(part, Mapping):
                made.__dict__.update({str(key): value for key, value in part.items()})
        if made.name.rsplit(".", 1)[-1] in _ARRAYS:
            self._pass_over(made)

    def _pass_over(self, array: StandIn) -> None:
        """What joblib writes right behind the wrapper of an array."""
        kind = _dtype(array.__dict__.get("dtype"))
        shape = array.__dict__.get("shape")
        if kind.startswith("O"):
            _Reader(self._file).load()
            return
        found = re.fullmatch(r"[<>|=]?([a-zA-Z])(\d+)", kind)
        if found is None or not isinstance(shape, tuple) or not all(isinstance(side, int) for side in shape):
            raise pickle.UnpicklingError(f"an array of an unknown kind: {kind[:40]}")
        if array.__dict__.get("numpy_array_alignment_bytes") is not None:
            self._skip(self._file.read(1)[0])
        self._skip(math.prod(shape) * int(found[2]) * (4 if found[1] == "U" else 1))

    def _skip(self, count: int) -> None:
        while count > 0:
            piece = self._file.read(min(count, _PIECE))
            if not piece:
                raise EOFError("the file ends within an array")
            count -= len(piece)


def _dtype(found: Any) -> str:
    given = found.__dict__.get("given", ()) if isinstance(found, StandIn) else ()
    return str(given[0]) if given else ""


def read_pickled(file: BinaryIO) -> dict[str, Any]:
    """The class, and its parameters as rows of name and value; raises what a file that is none of this raises."""
    found = read_pickled_object(file)
    name = found.name if isinstance(found, StandIn) else type(found).__name__
    return {"what": name, "parameters": list(rows_of(found))[:MOST_ROWS]}


def read_pickled_object(file: BinaryIO) -> Any:
    """The tree of stand-ins, texts and numbers."""
    return _Reader(file).load()


def rows_of(found: Any) -> Iterator[tuple[str, str]]:
    return _rows("", found, 0)


def _rows(path: str, found: Any, depth: int) -> Iterator[tuple[str, str]]:
    """Parameters before what was learned, whose names end with `_` by scikit-learn's rule."""
    if depth > DEEPEST:
        return
    if isinstance(found, StandIn):
        named = {key: value for key, value in found.__dict__.items() if key != "given" and not key.startswith("_")}
        items = sorted(named.items(), key=lambda item: item[0].endswith("_"))
    elif isinstance(found, Mapping):
        items = [(str(key), value) for key, value in found.items() if isinstance(key, (str, int))]
    elif isinstance(found, (list, tuple)):
        items = [_step(at, value) for at, value in enumerate(found[:LONGEST])]
    else:
        items = []
    for key, value in items:
        name = f"{path}.{key}" if path else key
        if (text := _plain(value)) is not None:
            yield name, text
        elif isinstance(value, StandIn):
            yield name, _called(value)
            yield from () if _is_data(value) else _rows(name, value, depth + 1)
        elif name.endswith("_") and isinstance(value, (list, tuple)):  # learned parts, a forest's trees for instance
            kinds = {_called(one) if isinstance(one, StandIn) else type(one).__name__ for one in value}
            yield name, f"{len(value)} of {', '.join(sorted(kinds))}"[:SHOWN]
        elif isinstance(value, (Mapping, list, tuple)):
            yield from _rows(name, value, depth + 1)


def _is_data(found: StandIn) -> bool:
    """Numbers, whose own parts tell nothing."""
    return found.name.startswith(("numpy.", "joblib.", "pandas."))


def _called(found: StandIn) -> str:
    kind = found.name.rsplit(".", 1)[-1]
    if kind in _ARRAYS:
        shape = found.__dict__.get("shape")
        return f"array of {' by '.join(str(side) for side in shape)}" if isinstance(shape, tuple) else "array"
    return {"_reconstruct": "array", "scalar": "number"}.get(kind, kind) if _is_data(found) else kind


def _step(at: int, value: Any) -> tuple[str, Any]:
    """Steps of a pipeline are pairs of a name and an object."""
    if isinstance(value, tuple) and len(value) >= 2 and isinstance(value[0], str):
        return value[0], value[1]
    return str(at), value


def _plain(value: Any) -> str | None:
    """None of what is no plain value, or a short list of such."""
    if value is None or isinstance(value, (bool, int, float, str)):
        text = str(value) if not isinstance(value, int) or abs(value) < 10**SHOWN else "a very large number"
        return text[:SHOWN]
    if isinstance(value, (list, tuple, set, frozenset)) and len(value) <= LONGEST:
        parts = [_plain(one) for one in value]
        if all(part is not None for part in parts):
            return ", ".join(part for part in parts if part is not None)[:SHOWN]
    return None
