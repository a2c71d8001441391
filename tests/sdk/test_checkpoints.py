"""Checkpoints through flytekit's own: what one attempt kept the next one finds, whole, whatever ended it."""

from __future__ import annotations

from pathlib import Path

import pytest
from causeway import checkpoints
from causeway.checkpoints import Checkpoints
from flytekit.core.checkpointer import SyncCheckpoint


def attempt(store: Path, number: int) -> SyncCheckpoint:
    return SyncCheckpoint(str(store / str(number)), str(store / str(number - 1)) if number else None)


def keep(at: Checkpoints, text: str, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "state.txt").write_text(text)
    at.save(folder)


def text_of(at: Checkpoints) -> str:
    assert at.restored is not None
    return (at.restored / "state.txt").read_text()


def test_the_next_attempt_finds_the_newest(tmp_path: Path) -> None:
    first = Checkpoints(attempt(tmp_path, 0))
    assert first.restored is None
    for number in range(5):
        keep(first, f"step {number}", tmp_path / "work")
    assert len(list((tmp_path / "0").iterdir())) == 2
    second = Checkpoints(attempt(tmp_path, 1))
    assert text_of(second) == "step 4"
    keep(second, "step 5", tmp_path / "work")
    assert text_of(Checkpoints(attempt(tmp_path, 2))) == "step 5"


def test_an_attempt_that_keeps_nothing_loses_nothing(tmp_path: Path) -> None:
    keep(Checkpoints(attempt(tmp_path, 0)), "step 0", tmp_path / "work")
    for number in (1, 2, 3):
        assert text_of(Checkpoints(attempt(tmp_path, number))) == "step 0"


def test_a_saving_that_broke_off_gives_the_one_before(tmp_path: Path) -> None:
    first = Checkpoints(attempt(tmp_path, 0))
    keep(first, "step 0", tmp_path / "work")
    keep(first, "step 1", tmp_path / "work")
    newest = tmp_path / "0" / "checkpoint-0.zip"
    newest.write_bytes(newest.read_bytes()[:-30])
    assert text_of(Checkpoints(attempt(tmp_path, 1))) == "step 0"


def test_an_attempt_before_that_kept_nothing_is_no_error(tmp_path: Path) -> None:
    assert Checkpoints(attempt(tmp_path, 1)).restored is None


def test_outside_an_attempt_nothing_is_kept(tmp_path: Path) -> None:
    assert checkpoints.restored() is None
    keep(checkpoints.current(), "x", tmp_path / "work")


@pytest.mark.parametrize("made", ["keras", "xgboost", "hugging_face", "lightning"])
def test_a_callback_needs_its_framework_and_says_which(made: str) -> None:
    """Those of the frameworks themselves are shown by a lab (tests/e2e/test_trainings.py)."""
    try:
        callback = getattr(checkpoints, made)()
    except ModuleNotFoundError as error:
        assert (error.name or "").split(".")[0] in ("keras", "xgboost", "transformers", "pytorch_lightning")
    else:
        assert callback is not None
