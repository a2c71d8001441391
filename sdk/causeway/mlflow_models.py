"""A version as a folder that MLflow reads as a model (`python_function`): `mlflow models serve -m FOLDER`.

The folder has the version's files, the module that loads them, and which version it is, in MLflow's own `metadata`.
"""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from causeway.http import CausewayError
from causeway.serving import forms
from causeway.version import Version

MODEL = "MLmodel"  # what makes a folder a model of MLflow
MODULE = "causeway_model_forms"  # of the folder's `code`, as the server imports it
VERSION_KEY = "causeway.version"


def write(version: Version, folder: Path, *, loader: str = "", allow_pickle: bool = False) -> Path:
    """The folder, which is made. A version that is a model of MLflow's already is taken as it is.

    :param loader: `module:function`, as of `causeway serve`; the server's environment has to have the module
    :param allow_pickle: for forms that run code of whoever published them, in the server
    Raises CausewayError for a folder that is not empty, and for a form that is not known.
    """
    if folder.exists() and any(folder.iterdir()):
        raise CausewayError(f"{folder} is not empty: a model has a folder of its own")
    if any(file["path"] == MODEL for file in version._data()["files"]):
        return version.download(folder)
    data = version.download(folder / "data")
    if not loader:
        _check(version, data, allow_pickle=allow_pickle)
    told = {"version": version.address, "loader": loader, "allow_pickle": allow_pickle}
    name = "" if data == folder / "data" else data.relative_to(folder / "data").as_posix()
    (folder / "data" / forms.SETTINGS).write_text(json.dumps({**told, "data": name}), encoding="utf-8")
    (folder / "code").mkdir()
    (folder / "code" / f"{MODULE}.py").write_text(Path(forms.__file__).read_text(encoding="utf-8"), encoding="utf-8")
    (folder / MODEL).write_text(json.dumps(_model(version), indent=2), encoding="utf-8")  # YAML takes JSON
    return folder


def _check(version: Version, data: Path, *, allow_pickle: bool) -> None:
    """Before anybody serves it. What is only told when it is loaded is the server's to say."""
    file = forms.file_of(data)
    if file.suffix not in (*forms.PICKLES, *forms.PLAIN):
        raise CausewayError(
            f"nothing is known of models in the form of {file.name}: name a loader, as --loader my_module:load"
        )
    if file.suffix in forms.PICKLES and not allow_pickle:
        raise CausewayError(
            f"{version.name}@{version.version} is a pickle, which runs code of whoever published it: "
            "allow that (--allow-pickle)"
        )


def _model(version: Version) -> dict[str, Any]:
    flavor = {"loader_module": MODULE, "code": "code", "data": "data"}
    ask = [{"name": "version", "type": "boolean", "default": False, "shape": None}]
    return {
        "flavors": {"python_function": flavor},
        "metadata": {VERSION_KEY: version.address},
        "model_uuid": uuid.uuid5(uuid.NAMESPACE_URL, version.address).hex,
        "signature": {"inputs": None, "outputs": None, "params": json.dumps(ask)},
        "utc_time_created": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f"),
    }
