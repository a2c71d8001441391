"""A model in memory, and how predictions are asked of it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from causeway.http import CausewayError
from causeway.version import Version

Predict = Callable[[Sequence[Any]], Any]
PICKLES = (".joblib", ".pkl", ".pickle")


class CannotLoad(Exception):
    """The message says why, and what would."""


class BadRows(ValueError):
    """The model does not take these rows; the message is for whoever sent them."""


@dataclass(frozen=True)
class Loaded:
    """One version, ready. `predict` takes rows (lists or mappings) and gives a prediction for each."""

    version: Version
    predict: Predict

    def told(self) -> dict[str, Any]:
        """Which version it is, and where its lineage is to be read."""
        fields = self.version.fields
        return {
            "artifact": self.version.name,
            "version": self.version.version,
            "project": fields["project"],
            "domain": fields["domain"],
            "address": self.version.address,
            "partitions": self.version.partitions,
            "created_at": fields.get("created_at"),
        }


def load(version: Version, folder: Path, *, loader: str = "", allow_pickle: bool = False) -> Loaded:
    """Download and load it into memory.

    :param loader: `module:function`, which takes the path or value and gives something with `predict(rows)`, or a
        function of rows; default by the model's form: joblib and pickles, Keras, XGBoost
    :param allow_pickle: for forms that run code of whoever published them
    Raises CannotLoad, and CausewayError where it cannot be had.
    """
    try:
        value = version.pull(folder, allow_pickle=allow_pickle)
        model = _named(loader)(value) if loader else _by_form(value, allow_pickle=allow_pickle)
    except (CannotLoad, ModuleNotFoundError) as error:
        raise CannotLoad(f"{version.name}@{version.version} cannot be loaded: {error}") from error
    except CausewayError as error:
        if error.status or error.unreachable:  # of the server, which may say another thing the next time
            raise
        raise CannotLoad(f"{version.name}@{version.version} cannot be loaded: {error}") from error
    except OSError:  # of this machine, likewise
        raise
    except Exception as error:  # whatever a framework or a loader raises: the version that answers goes on
        said = f"{type(error).__name__}: {error}"
        raise CannotLoad(f"{version.name}@{version.version} cannot be loaded: {said}") from error
    return Loaded(version, predictor(model))


def predictor(model: Any) -> Predict:
    """CannotLoad for what nothing can be asked of."""
    if type(model).__module__.startswith("xgboost") and hasattr(model, "get_dump"):
        return _booster(model)
    ask = getattr(model, "predict", None) or (model if callable(model) else None)
    if ask is None:
        raise CannotLoad(
            f"{type(model).__name__} has no predict(rows) and is no function; name a loader that makes one"
        )
    takes_arrays = type(model).__module__.split(".")[0] in ("keras", "tensorflow")
    return lambda rows: _plain(ask(_array(rows) if takes_arrays else _framed(rows)))


def _booster(model: Any) -> Predict:
    import xgboost  # type: ignore[import-not-found, unused-ignore]

    def predict(rows: Sequence[Any]) -> Any:
        names = model.feature_names
        if isinstance(rows[0], Mapping):
            rows = [[row.get(name) for name in names or row] for row in rows]
        return _plain(model.predict(xgboost.DMatrix(_array(rows), feature_names=names)))

    return predict


def _by_form(value: Any, *, allow_pickle: bool) -> Any:
    if not isinstance(value, Path):
        return value
    file = next((one for one in sorted(value.iterdir()) if one.is_file()), value) if value.is_dir() else value
    if file.suffix in PICKLES:
        if not allow_pickle:
            raise CannotLoad(
                f"{file.name} is a pickle, which runs code of whoever published it: allow that (--allow-pickle)"
            )
        return importlib.import_module("joblib").load(file)
    if file.suffix == ".keras":
        return importlib.import_module("keras").saving.load_model(file)
    if file.suffix in (".ubj", ".xgb", ".json"):
        model = importlib.import_module("xgboost").Booster()
        model.load_model(file)
        return model
    raise CannotLoad(f"nothing is known of models in the form of {file.name}: name a loader, as my_module:load")


def _named(loader: str) -> Callable[[Any], Any]:
    module, colon, name = loader.partition(":")
    found = getattr(importlib.import_module(module), name, None) if colon and name else None
    if not callable(found):
        raise CannotLoad(f"{loader!r} is not module:function")
    return found  # type: ignore[no-any-return]


def _framed(rows: Sequence[Any]) -> Any:
    """Mappings become a frame, whose columns have names as in training; lists stay."""
    if not isinstance(rows[0], Mapping):
        return rows
    import pandas

    return pandas.DataFrame(list(rows))


def _array(rows: Sequence[Any]) -> Any:
    """Mappings by the columns of the first one, in its order. BadRows where another one has others."""
    import numpy

    if isinstance(rows[0], Mapping):
        columns = list(rows[0])
        if any(row.keys() != rows[0].keys() for row in rows):
            raise BadRows(f"all rows have the columns of the first one: {', '.join(map(str, columns))}")
        rows = [[row[column] for column in columns] for row in rows]
    return numpy.asarray(rows, dtype=float)


def _plain(predictions: Any) -> Any:
    """What JSON has: lists and numbers."""
    found = predictions.to_numpy() if hasattr(predictions, "to_numpy") else predictions  # a frame's rows
    if hasattr(found, "tolist"):
        return found.tolist()
    return [one.tolist() if hasattr(one, "tolist") else one for one in found]
