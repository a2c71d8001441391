"""Models in the forms that are known, and how predictions are asked of them.

Only the standard library and the model's own framework: `causeway export mlflow-model` puts this file into the folder
that it writes, where MLflow's server finds it (causeway.mlflow_models). So what takes it in has to do without the SDK.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Predict = Callable[[Sequence[Any]], Any]
PICKLES = (".joblib", ".pkl", ".pickle")
BOOSTERS = (".ubj", ".xgb", ".json")
PLAIN = (".keras", *BOOSTERS)
SETTINGS = "causeway.json"  # beside the model's files, of a folder that MLflow reads


class CannotLoad(Exception):
    """The message says why, and what would."""


class BadRows(ValueError):
    """The model does not take these rows; the message is for whoever sent them."""


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


def by_form(value: Any, *, allow_pickle: bool) -> Any:
    if not isinstance(value, Path):
        return value
    file = file_of(value)
    if file.suffix in PICKLES:
        if not allow_pickle:
            raise CannotLoad(
                f"{file.name} is a pickle, which runs code of whoever published it: allow that (--allow-pickle)"
            )
        return importlib.import_module("joblib").load(file)
    if file.suffix == ".keras":
        return importlib.import_module("keras").saving.load_model(file)
    if file.suffix in BOOSTERS:
        model = importlib.import_module("xgboost").Booster()
        model.load_model(file)
        return model
    raise CannotLoad(f"nothing is known of models in the form of {file.name}: name a loader, as my_module:load")


def file_of(path: Path) -> Path:
    """Of a folder the first of its files, less what Causeway wrote."""
    if not path.is_dir():
        return path
    return next((one for one in sorted(path.iterdir()) if one.is_file() and one.name != SETTINGS), path)


def named(loader: str) -> Callable[[Any], Any]:
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


class Asked:
    """As MLflow's server asks: with a pandas frame, whose columns have names where the rows have, or with arrays."""

    def __init__(self, predict: Predict, version: str) -> None:
        self._predict, self._version = predict, version

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """With the parameter `version` the answer says which version gave it."""
        if hasattr(model_input, "to_dict"):
            plain = all(isinstance(name, int) for name in model_input.columns)
            rows = model_input.to_numpy().tolist() if plain else model_input.to_dict("records")
        else:
            rows = model_input.tolist() if hasattr(model_input, "tolist") else list(model_input)
        found = self._predict(rows)
        return {"values": found, "version": self._version} if (params or {}).get("version") else found


def _load_pyfunc(path: str) -> Asked:
    """What MLflow calls, with the folder of the model's files."""
    folder = Path(path)
    told = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    value = folder / told["data"]
    model = named(told["loader"])(value) if told["loader"] else by_form(value, allow_pickle=told["allow_pickle"])
    return Asked(predictor(model), told["version"])
