"""A version of a model, loaded into memory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from causeway.http import CausewayError
from causeway.serving.forms import CannotLoad, Predict, by_form, named, predictor
from causeway.version import Version


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

    @cached_property
    def told_json(self) -> str:
        return json.dumps(self.told())


def load(version: Version, folder: Path, *, loader: str = "", allow_pickle: bool = False) -> Loaded:
    """Download and load it into memory.

    :param loader: `module:function`, which takes the path or value and gives something with `predict(rows)`, or a
        function of rows; default by the model's form: joblib and pickles, Keras, XGBoost
    :param allow_pickle: for forms that run code of whoever published them
    Raises CannotLoad, and CausewayError where it cannot be had.
    """
    try:
        value = version.pull(folder, allow_pickle=allow_pickle)
        model = named(loader)(value) if loader else by_form(value, allow_pickle=allow_pickle)
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
