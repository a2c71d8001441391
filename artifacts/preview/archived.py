"""Reads what an archive (zip) says of itself: a model of Keras its layers, one of torch its parts, others their files.

As `pickled`, nothing is imported and nobody's code runs. Run in the process of `reading`, whose time and memory the
kernel bounds; of each file inside no more than MOST is unpacked.
"""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from artifacts.preview.pickled import MOST_ROWS, SHOWN, StandIn, read_pickled_object, rows_of

MOST = 4 << 20  # bytes of a file in it
DEEPEST = 20  # of parts in parts
LAYERS = frozenset({"name", "trainable", "dtype"})  # what every layer says, and tells nothing


def read_archive(file: BinaryIO) -> dict[str, Any]:
    """The class and the parameters of a model, or the files with their sizes."""
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if {"config.json", "metadata.json"} <= set(names):
            found = _keras(archive)
        elif (name := next((one for one in names if one.count("/") == 1 and one.endswith("/data.pkl")), "")) != "":
            found = _torch(archive, name)
        else:
            found = None
        if found is not None:
            return {**found, "parameters": found["parameters"][:MOST_ROWS]}
        files = [(one.filename[:SHOWN], f"{one.file_size} bytes") for one in archive.infolist()[:MOST_ROWS]]
        return {"what": f"archive of {len(names)} files", "parameters": files}


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as inside:
        found = inside.read(MOST + 1)
    if len(found) > MOST:
        raise ValueError(f"{name} in it is too large to be looked into")
    return found


def _keras(archive: zipfile.ZipFile) -> dict[str, Any] | None:
    config, about = json.loads(_read(archive, "config.json")), json.loads(_read(archive, "metadata.json"))
    if not isinstance(config, Mapping) or not isinstance(about, Mapping) or "keras_version" not in about:
        return None
    trained = config.get("compile_config")
    trained = trained if isinstance(trained, Mapping) else {}
    told = [
        ("keras", str(about["keras_version"])),
        ("saved", str(about.get("date_saved", ""))),
        *((name, _said(trained[name])) for name in ("optimizer", "loss", "metrics") if trained.get(name) is not None),
        *(("weights", f"{one.file_size} bytes") for one in archive.infolist() if one.filename.endswith(".weights.h5")),
    ]
    place, name = (str(config.get(key) or "") for key in ("module", "class_name"))
    rows = [(key, text[:SHOWN]) for key, text in told if text] + list(_layers("", config, 0))
    return {"what": ".".join(one for one in (place, name) if one)[:SHOWN], "parameters": rows}


def _layers(path: str, config: Mapping[str, Any], depth: int) -> Iterator[tuple[str, str]]:
    """Of a model its layers, of a layer what it was made with. A model in a model is a layer with layers."""
    inside = config.get("config")
    layers = inside.get("layers") if isinstance(inside, Mapping) else None
    for layer in layers if isinstance(layers, list) and depth < DEEPEST else ():
        if not isinstance(layer, Mapping):
            continue
        own = layer.get("config")
        own = own if isinstance(own, Mapping) else {}
        name = str(own.get("name") or layer.get("name") or layer.get("class_name"))
        name = f"{path}.{name}" if path else name
        said = [
            f"{key}={_said(value)}"
            for key, value in own.items()
            if key not in LAYERS and key != "layers" and value is not None and not isinstance(value, list)
        ]
        yield name[:SHOWN], f"{layer.get('class_name')}({', '.join(said)})"[:SHOWN]
        yield from _layers(name, layer, depth + 1)


def _said(value: Any) -> str:
    """Of an object that Keras wrote its class alone."""
    if isinstance(value, Mapping):
        return str(value.get("class_name") or value.get("registered_name") or "...")
    return ", ".join(map(_said, value)) if isinstance(value, list) else str(value)


def _torch(archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    """What `torch.save` writes: a pickle whose numbers lie in files beside it."""
    found = read_pickled_object(io.BytesIO(_read(archive, name)))
    if isinstance(found, StandIn):
        return {"what": found.name, "parameters": list(_parts("", found, 0))}
    rows = list(_state("", found, 0)) if isinstance(found, Mapping) else list(rows_of(found))
    return {"what": f"{type(found).__name__} of torch", "parameters": rows}


def _parts(path: str, module: StandIn, depth: int) -> Iterator[tuple[str, str]]:
    """A module's own plain values, its parameters and buffers, and its modules with theirs."""
    for key, value in module.__dict__.items():
        if not key.startswith("_") and key not in ("given", "training") and isinstance(value, (bool, int, float, str)):
            yield _under(path, key), str(value)[:SHOWN]
    for kept in ("_parameters", "_buffers"):
        yield from _state(path, module.__dict__.get(kept), 0)
    children = module.__dict__.get("_modules")
    for key, child in children.items() if isinstance(children, Mapping) and depth < DEEPEST else ():
        if isinstance(child, StandIn):
            yield _under(path, key), child.name.rpartition(".")[2][:SHOWN]
            yield from _parts(_under(path, key), child, depth + 1)


def _state(path: str, found: Any, depth: int) -> Iterator[tuple[str, str]]:
    """Tensors by their names, as a module keeps them and `state_dict` gives them."""
    for key, value in found.items() if isinstance(found, Mapping) and depth < DEEPEST else ():
        if isinstance(value, StandIn):
            yield _under(path, key), _tensor(value)
        elif isinstance(value, Mapping):
            yield from _state(_under(path, key), value, depth + 1)
        elif isinstance(value, (bool, int, float, str)):
            yield _under(path, key), str(value)[:SHOWN]


def _tensor(found: StandIn) -> str:
    """`torch._utils._rebuild_tensor_v2(storage, offset, shape, strides ...)`, in a `_rebuild_parameter` or not."""
    given = found.__dict__.get("given", ())
    if found.name.endswith("._rebuild_parameter") and given and isinstance(given[0], StandIn):
        return _tensor(given[0])
    if found.name.endswith("._rebuild_tensor_v2") and len(given) > 2 and isinstance(given[2], tuple):
        return f"tensor of {' by '.join(map(str, given[2])) or 'one number'}"[:SHOWN]
    return found.name.rpartition(".")[2][:SHOWN]


def _under(path: str, key: Any) -> str:
    return (f"{path}.{key}" if path else str(key))[:SHOWN]


BROKEN = (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, pickle.UnpicklingError)
