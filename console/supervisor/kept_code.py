"""What dataclasses compile while they are imported, kept from one start to the next.

Modules are compiled once, and dataclasses write each method as text and compile that each time: 2,300 of them take a
sixth of what it takes to import Causeway. The code is a function of the text and of the interpreter alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.util
import marshal
import os
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

_VERSION = importlib.util.MAGIC_NUMBER


@contextlib.contextmanager
def kept_code(file: Path) -> Iterator[None]:
    """What is compiled meanwhile is looked for in the file, which is ours alone, and written there if it was new."""
    known = _read(file)
    before = len(known)

    def execute(text: str, names: dict[str, Any] | None = None, own: dict[str, Any] | None = None) -> None:
        key = hashlib.blake2b(text.encode(), digest_size=16).digest()
        if (code := known.get(key)) is None:
            code = known[key] = compile(text, "<string>", "exec", dont_inherit=True)
        exec(code, names, own)  # noqa: S102 - what dataclasses would

    vars(dataclasses)["exec"] = execute
    try:
        yield
    finally:
        del vars(dataclasses)["exec"]
        if len(known) > before:
            _write(file, known)


def _read(file: Path) -> dict[bytes, CodeType]:
    try:
        with file.open("rb") as stored:
            if stored.read(len(_VERSION)) == _VERSION:
                found = marshal.load(stored)  # noqa: S302 - as a .pyc
                return found if isinstance(found, dict) else {}
    except (OSError, EOFError, ValueError, TypeError):
        pass
    return {}


def _write(file: Path, known: dict[bytes, CodeType]) -> None:
    draft = file.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError):  # the next start takes longer
        draft.write_bytes(_VERSION + marshal.dumps(known))
        draft.replace(file)
