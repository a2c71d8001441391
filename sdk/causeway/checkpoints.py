"""Callbacks that keep a training's state through flytekit's checkpoint, so that an attempt goes on where one ended.

@task(retries=3)
def train() -> float:
    began = checkpoints.restored()                    # a folder with what the last attempt kept, or None
    trainer = L.Trainer(callbacks=[checkpoints.lightning()])
    trainer.fit(model, ckpt_path=began and began / "last.ckpt")

Each saving is one whole file, and the one before stays until it is there: a kill in the middle costs one step. What
was restored is kept again at once, so that an attempt that ends before its first saving loses nothing. On a laptop,
outside an attempt of Flyte's, nothing is kept, and `restored` is None.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

_NAMES = ("checkpoint-0.zip", "checkpoint-1.zip")  # written in turn
LIGHTNING, KERAS, XGBOOST, DONE = "last.ckpt", "model.keras", "model.ubj", "done.txt"


class Checkpoints:
    """What this attempt keeps. `save` a folder or file; `restored`: what was there at its start."""

    def __init__(self, checkpoint: Any | None = None) -> None:
        """`checkpoint`: flytekit's; default that of the running task."""
        self.checkpoint = checkpoint if checkpoint is not None else _of_task()
        self.number = 0
        self._restored: Path | None = None
        if self.checkpoint is not None and self.checkpoint.prev_exists():
            self._restored = self._restore()

    @property
    def restored(self) -> Path | None:
        """A folder; None where nothing was kept."""
        return self._restored

    def save(self, path: Path) -> None:
        """A folder, or a single file, under its own name."""
        if self.checkpoint is None:
            return
        self.number += 1
        with tempfile.TemporaryDirectory(prefix="checkpoint-") as folder:
            packed = Path(folder, _NAMES[self.number % 2])
            with zipfile.ZipFile(packed, "w") as archive:
                archive.comment = str(self.number).encode()
                for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                    if file.is_file():
                        archive.write(file, file.relative_to(path) if path.is_dir() else file.name)
            self.checkpoint.save(packed)

    def _restore(self) -> Path | None:
        """The newest that is whole."""
        try:
            folder = self.checkpoint.restore()  # type: ignore[union-attr]
        except Exception as error:  # noqa: BLE001 - the attempt before kept nothing: stores say so each in its own way
            logger.info("no checkpoint of the attempt before: %s", error)
            return None
        found = sorted((number, path) for path in _packed(folder) if (number := _number_of(path)) is not None)
        if not found:
            return None
        self.number, newest = found[-1]
        target = Path(tempfile.mkdtemp(prefix="restored-"))
        with zipfile.ZipFile(newest) as archive:
            archive.extractall(target)
        self.checkpoint.save(newest)  # type: ignore[union-attr]
        return target


_current: tuple[Any, Checkpoints] | None = None  # flytekit's checkpoint, and ours of it


def current() -> Checkpoints:
    """Of the running attempt: one for all its callbacks."""
    global _current
    checkpoint = _of_task()
    if _current is None or _current[0] is not checkpoint:
        _current = (checkpoint, Checkpoints(checkpoint))
    return _current[1]


def restored() -> Path | None:
    """What the attempt before kept, in a folder; None in the first attempt, and where nothing was kept."""
    return current().restored


def lightning(*, every_epochs: int = 1) -> Any:
    """A callback for PyTorch Lightning: `last.ckpt` after every so many epochs, which `ckpt_path` takes."""
    try:
        from lightning.pytorch import Callback  # type: ignore[import-not-found, unused-ignore]
    except ModuleNotFoundError:
        from pytorch_lightning import Callback  # type: ignore[import-not-found, no-redef, unused-ignore]

    class Keep(Callback):  # type: ignore[misc, unused-ignore]
        def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
            if (trainer.current_epoch + 1) % every_epochs:
                return
            with tempfile.TemporaryDirectory(prefix="lightning-") as folder:
                file = Path(folder, LIGHTNING)
                trainer.save_checkpoint(file)
                if trainer.is_global_zero:
                    current().save(file)

    return Keep()


def keras(*, every_epochs: int = 1) -> Any:
    """A callback for Keras: `model.keras`, optimizer and all, after every so many epochs; see `keras_began`."""
    from keras.callbacks import Callback  # type: ignore[import-not-found, unused-ignore]

    class Keep(Callback):  # type: ignore[misc, unused-ignore]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if not (epoch + 1) % every_epochs:
                _save_with_number(lambda folder: self.model.save(folder / KERAS), epoch + 1)

    return Keep()


def keras_began(model: Any) -> tuple[Any, int]:
    """The model that the attempt before kept, and how many epochs it had: for `fit(initial_epoch=...)`. Else `model`
    and 0.
    """
    if (folder := restored()) is None:
        return model, 0
    from keras.saving import load_model  # type: ignore[import-not-found, unused-ignore]

    return load_model(folder / KERAS), int((folder / DONE).read_text())


def hugging_face() -> Any:
    """A callback for Hugging Face's Trainer: whatever it saves (`save_strategy`) is kept; `restored()` is what
    `resume_from_checkpoint` takes.
    """
    from transformers import TrainerCallback  # type: ignore[import-not-found, unused-ignore]

    class Keep(TrainerCallback):  # type: ignore[misc, unused-ignore]
        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            folder = Path(args.output_dir, f"checkpoint-{state.global_step}")
            if state.is_world_process_zero and folder.is_dir():
                current().save(folder)

    return Keep()


def xgboost(*, every_rounds: int = 10) -> Any:
    """A callback for XGBoost: `model.ubj` after every so many rounds; see `xgboost_began`."""
    from xgboost.callback import TrainingCallback  # type: ignore[import-not-found, unused-ignore]

    class Keep(TrainingCallback):  # type: ignore[misc, unused-ignore]
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            if not (epoch + 1) % every_rounds:
                rounds = model.num_boosted_rounds()  # those of the attempt before among them
                _save_with_number(lambda folder: model.save_model(folder / XGBOOST), rounds)
            return False

    return Keep()


def xgboost_began() -> tuple[str | None, int]:
    """For `train(xgb_model=..., num_boost_round=wanted - done)`: the model that was kept, and its number of rounds."""
    folder = restored()
    return (str(folder / XGBOOST), int((folder / DONE).read_text())) if folder is not None else (None, 0)


def _save_with_number(save: Any, number: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="checkpoint-"))
    try:
        save(folder)
        (folder / DONE).write_text(str(number))
        current().save(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _of_task() -> Any | None:
    """flytekit's, of the running task; None where it has none."""
    from flytekit import current_context

    try:
        return current_context().checkpoint
    except (NotImplementedError, AttributeError):
        return None


def _packed(folder: Any) -> list[Path]:
    return [path for path in Path(folder).rglob("*.zip") if path.name in _NAMES] if folder is not None else []


def _number_of(path: Path) -> int | None:
    """None for one that was not written to its end."""
    try:
        with zipfile.ZipFile(path) as archive:
            return int(archive.comment) if archive.testzip() is None else None
    except (zipfile.BadZipFile, ValueError, OSError):
        return None
