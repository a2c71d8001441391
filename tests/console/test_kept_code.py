"""Dataclasses whose code was compiled before are those that they would be."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from console.supervisor import kept_code as module
from console.supervisor.kept_code import kept_code


def made() -> type:
    @dataclasses.dataclass(frozen=True, order=True)
    class Point:
        x: int
        y: int = 2

    return Point


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "one.code"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What had to be compiled."""
    texts: list[str] = []

    def note(text: str, *given: object, **options: bool) -> object:
        texts.append(text)
        return compile(text, *given, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(module, "compile", note, raising=False)
    return texts


def test_what_was_compiled_once_is_not_compiled_again(file: Path, compiled: list[str]) -> None:
    with kept_code(file):
        made()
    assert compiled
    compiled.clear()
    with kept_code(file):
        again = made()
    assert compiled == []
    assert (again(1), again(1) < again(2), again(1) == again(1, 2)) == (again(1, 2), True, True)
    assert "exec" not in vars(dataclasses)


@pytest.mark.parametrize(
    "content",
    [b"", b"x", module._VERSION, module._VERSION + b"\xff", module._VERSION + b"N", b"\0\0\0\0" + b"\xff" * 9],
)
def test_a_file_that_cannot_be_read_is_written_anew(file: Path, compiled: list[str], content: bytes) -> None:
    file.write_bytes(content)
    with kept_code(file):
        made()
    assert compiled
    compiled.clear()
    with kept_code(file):
        made()
    assert compiled == []


def test_where_it_cannot_be_written_nothing_is_lost(tmp_path: Path) -> None:
    with kept_code(tmp_path / "nowhere" / "one.code"):
        assert made()(1).y == 2
