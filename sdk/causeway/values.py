"""What a version's data is in Python: from the API's JSON and protobuf's description of the type, without flytekit."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from causeway.durations import isoformat, parse_duration
from causeway.http import CausewayError
from causeway.spelling import float_word, moment, spell, unspell

PICKLE_FORMATS = frozenset({"PythonPickle", "pickle", "pkl", "joblib"})
Fetch = Callable[[str], Path]


def to_python(value: Any, kind: Mapping[str, Any], fetch: Fetch, *, allow_pickle: bool = False) -> Any:
    """The Python value: numbers, text, lists, dicts, times; a Path for files and directories; a data frame.

    :param kind: flyteidl.core.LiteralType as protobuf's JSON
    :param fetch: downloads what lies at a URI
    :raises CausewayError: for a pickle, unless `allow_pickle`: unpickling runs whatever its author wrote
    """
    if "collectionType" in kind:
        return [to_python(item, kind["collectionType"], fetch, allow_pickle=allow_pickle) for item in value]
    if "mapValueType" in kind:
        inner = kind["mapValueType"]
        return {key: to_python(item, inner, fetch, allow_pickle=allow_pickle) for key, item in value.items()}
    if "unionType" in kind:
        return _union(value, kind["unionType"].get("variants", []), fetch, allow_pickle)
    if "blob" in kind:
        return _blob(value, kind["blob"], fetch, allow_pickle)
    if "structuredDatasetType" in kind or "schema" in kind:
        return read_frame(fetch(value["uri"]), value.get("format") or "parquet")
    return _simple(value, kind.get("simple", ""))


def _union(value: Any, variants: list[Mapping[str, Any]], fetch: Fetch, allow_pickle: bool) -> Any:
    named = _named_variant(value, variants)
    if named is not None:
        return to_python(value["value"], named, fetch, allow_pickle=allow_pickle)
    if value is None:
        return None
    for kind in variants:
        if kind.get("simple") != "NONE" and _fits(value, kind):
            try:
                return to_python(value, kind, fetch, allow_pickle=allow_pickle)
            except ValueError:
                continue  # a text that is no time
    return value


def _named_variant(value: Any, variants: list[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Where a value does not tell which it is of, the API says so beside it."""
    if not isinstance(value, dict) or set(value) != {"type", "value"}:
        return None
    name, _, number = str(value["type"]).partition(" #")
    if number.isascii() and number.isdigit() and 0 < int(number[:6]) <= len(variants):
        return variants[int(number[:6]) - 1]
    return next((kind for kind in variants if _type_name(kind) == name), None)


def _type_name(kind: Mapping[str, Any]) -> str:
    """As the API calls the types that a value can be confused between; empty for all others."""
    if "collectionType" in kind:
        return f"list[{_type_name(kind['collectionType'])}]"
    if "mapValueType" in kind:
        return f"dict[str, {_type_name(kind['mapValueType'])}]"
    if "unionType" in kind:
        return " | ".join(map(_type_name, kind["unionType"].get("variants", [])))
    if "enumType" in kind:
        return f"enum({', '.join(kind['enumType'].get('values', []))})"
    names: dict[str, str] = {"INTEGER": "int", "BOOLEAN": "bool", "STRING": "str"}
    simple = str(kind.get("simple", ""))
    return names.get(simple, simple.lower())


def _fits(value: Any, kind: Mapping[str, Any]) -> bool:
    if "blob" in kind:
        directory = kind["blob"].get("dimensionality") == "MULTIPART"
        return isinstance(value, dict) and value.get("kind") == ("directory" if directory else "file")
    if "structuredDatasetType" in kind or "schema" in kind:
        return isinstance(value, dict) and value.get("kind") == "dataset"
    if "collectionType" in kind:
        return isinstance(value, list)
    expected = {"INTEGER": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool, "STRUCT": dict, "BINARY": dict}
    wanted = expected.get(kind.get("simple", ""), str if "simple" in kind or "enumType" in kind else dict)
    return type(value) is wanted


def _blob(value: Mapping[str, Any], kind: Mapping[str, Any], fetch: Fetch, allow_pickle: bool) -> Any:
    data_format = value.get("format") or kind.get("format") or ""
    if data_format not in PICKLE_FORMATS:
        return fetch(value["uri"])
    if not allow_pickle:
        raise CausewayError(
            f"{value['uri']} is a pickle, and unpickling runs whatever its author wrote: pass allow_pickle=True if you "
            "trust them, or download it as a file"
        )
    path = fetch(value["uri"])
    if data_format == "joblib":
        import joblib

        return joblib.load(path)
    return pickle.loads(path.read_bytes())  # noqa: S301 (asked for)


def _simple(value: Any, kind: str) -> Any:
    if kind == "FLOAT":
        return float(value)  # JSON has no NaN: it comes as text
    if kind == "DATETIME" and isinstance(value, str):
        return moment(value)
    if kind == "DURATION" and isinstance(value, str):
        return parse_duration(value)
    if kind == "BINARY" and isinstance(value, dict) and "base64" in value:
        return base64.b64decode(value["base64"])
    return unspell(value) if kind == "STRUCT" else value


def read_frame(path: Path, data_format: str) -> Any:
    """A pandas data frame, or a pyarrow table where pandas is not installed."""
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    try:
        import pandas
    except ModuleNotFoundError:
        pandas = None
    if data_format == "csv":
        if pandas is None:
            raise CausewayError(f"reading {path} needs pandas: pip install pandas")
        return pandas.concat([pandas.read_csv(file) for file in files], ignore_index=True)
    if data_format != "parquet":
        raise CausewayError(f"a dataset of format {data_format!r} is not read here: use it as files, in {path}")
    try:
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise CausewayError(f"reading {path} needs pyarrow: pip install pyarrow pandas") from None
    table = parquet.read_table(path)
    return table if pandas is None else table.to_pandas()


def write_frame(frame: Any, path: Path) -> None:
    """A pandas or polars data frame, or a pyarrow table, as a parquet file.

    :raises CausewayError: for anything else
    """
    if hasattr(frame, "to_parquet"):  # pandas
        frame.to_parquet(path)
    elif hasattr(frame, "write_parquet"):  # polars
        frame.write_parquet(path)
    elif hasattr(frame, "schema") and hasattr(frame, "to_batches"):  # pyarrow
        from pyarrow import parquet

        parquet.write_table(frame, path)
    else:
        raise CausewayError(f"a frame is a pandas or polars data frame or a pyarrow table, not {type(frame).__name__}")


def write_pickle(value: Any, path: Path) -> None:
    """As flytekit pickles, so that a task whose input has no better type can read it."""
    try:
        import cloudpickle as pickler  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        pickler = pickle
    path.write_bytes(pickler.dumps(value))


def to_wire(value: Any) -> dict[str, Any]:
    """The members of a publication that say a plain value, with its type where JSON does not tell it."""
    if isinstance(value, datetime):
        return {"value": value.isoformat(), "type": "datetime"}
    if isinstance(value, timedelta):
        return {"value": isoformat(value), "type": "duration"}
    if isinstance(value, bytes):
        return {"value": {"base64": base64.b64encode(value).decode()}, "type": "binary"}
    if isinstance(value, float) and float_word(value):
        return {"value": float_word(value), "type": "float"}
    if isinstance(value, list):  # of plain values, or of dicts
        return {"value": [spell(item) if isinstance(item, Mapping) else item for item in value]}
    return {"value": spell(value) if isinstance(value, Mapping) else value}
