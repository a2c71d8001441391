"""What is in an object: tables, texts and what cannot be shown, within limits."""

from __future__ import annotations

import io
import json
import os
import pickle
import uuid
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from artifacts.exceptions import NotFound
from artifacts.preview import looking
from artifacts.preview.kinds import Kind, kind_of
from artifacts.preview.looking import Preview, preview
from artifacts.store import store

TABLE = pa.table(
    {
        "region": ["SEA", "LAX", None, "SEA"],
        "sales": [1.5, 2.5, float("nan"), 4.0],
        "units": [3, 1, 2, None],
        "tags": [["a"], [], None, ["b", "c"]],
        "raw": [b"\x00\x01", b"", None, b"x"],
    }
)


@pytest.fixture(autouse=True)
def _store(object_store: str) -> None:
    pass


def put(name: str, data: bytes) -> str:
    uri = store().join(store().root, "previews", name)
    store().put(uri, data)
    return uri


def parquet(table: pa.Table, **how: object) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **how)
    return buffer.getvalue()


def looked_into(name: str, data: bytes) -> Preview:
    return preview(put(name, data))


def test_a_parquet_file_shows_rows_schema_and_statistics() -> None:
    seen = looked_into("00000", parquet(TABLE))  # flytekit's name for it tells nothing

    assert (seen.kind, seen.total_rows, seen.sampled) == (Kind.PARQUET, 4, 4)
    assert [column["name"] for column in seen.columns] == TABLE.column_names
    assert seen.rows[0][:3] == ["SEA", "1.5", "3"] and seen.rows[2][0] is None
    region, _, units, tags, _ = seen.columns
    assert (region["type"], region["nulls"], region["distinct"], region["min"]) == ("string", 1, 2, "LAX")
    assert (units["min"], units["max"], units["mean"]) == ("1", "3", 2.0)
    assert tags["type"].startswith("list") and tags["mean"] is None


def test_only_the_first_rows_of_a_long_table_are_read() -> None:
    seen = looked_into("long.parquet", parquet(pa.table({"n": range(50_000)}), row_group_size=5_000))
    assert (seen.total_rows, seen.sampled, len(seen.rows), seen.is_cut) == (50_000, 10_000, 50, True)
    assert seen.columns[0]["max"] == "9999"


def test_csv_arrow_and_json_lines_are_tables() -> None:
    seen = looked_into("data.csv", b'city,count\n"New\nYork",3\nSeattle,4\n')
    assert (seen.kind, seen.rows[0]) == (Kind.CSV, ["New\nYork", "3"]) and seen.columns[1]["type"] == "int64"
    assert looked_into("data.tsv", b"a\tb\n1\t2\n").rows == [["1", "2"]]
    buffer = io.BytesIO()
    with pa.ipc.new_file(buffer, TABLE.schema) as writer:
        writer.write_table(TABLE)
    assert looked_into("frame.feather", buffer.getvalue()).rows[1][0] == "LAX"
    lines = b"".join(json.dumps({"a": at}).encode() + b"\n" for at in range(3))
    assert looked_into("rows.jsonl", lines).rows == [["0"], ["1"], ["2"]]


def test_what_is_no_table_after_all_is_text_or_says_why() -> None:
    ragged = looked_into("ragged.csv", b"a,b\n1\n2,3,4\n")
    assert (ragged.kind, ragged.text) == (Kind.TEXT, "a,b\n1\n2,3,4\n")
    broken = looked_into("broken.parquet", b"PAR1" + b"nonsense" * 100)
    assert broken.problem and not broken.rows


def test_json_is_indented_and_hostile_json_is_text() -> None:
    assert looked_into("a.json", b'{"b":[1,2]}').text == '{\n  "b": [\n    1,\n    2\n  ]\n}'
    deep = b"[" * 20_000
    assert looked_into("deep.json", deep).text == deep.decode()


def test_a_long_text_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "TEXT_SHOWN", 10)
    seen = looked_into("log.txt", b"0123456789abcdef")
    assert (seen.text, seen.is_cut, seen.size) == ("0123456789", True, 16)


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("x.html", b"<html><script>", Kind.TEXT),
        ("x.svg", b"<svg onload=alert(1)>", Kind.TEXT),
        ("x.md", b"# Title", Kind.MARKDOWN),
        ("x.png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0d", Kind.IMAGE),
        ("x.png", b"<html>no image", Kind.TEXT),
        ("x.wav", b"RIFF\x00\x00\x00\x00WAVEfmt ", Kind.AUDIO),
        ("x.avi", b"RIFF\x00\x00\x00\x00AVI LIST", Kind.BINARY),
        ("x.joblib", b"\x80\x04\x95\x00\x00", Kind.PICKLE),
        ("x.csv", b"a,b\x00", Kind.BINARY),
        ("x.txt", "zwölf Monate 15€".encode()[:16], Kind.TEXT),
        ("x.txt", "zwölf Monate 1€€".encode()[:16], Kind.TEXT),
        ("x.txt", b"", Kind.TEXT),
    ],
)
def test_kinds_are_told_by_the_bytes_before_the_name(name: str, head: bytes, kind: Kind) -> None:
    assert kind_of(name, head) is kind


def test_what_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "_PROGRAM", "while True: pass")
    monkeypatch.setattr(looking, "SECONDS", 0.2)
    assert "too long" in looked_into("slow.parquet", parquet(TABLE)).problem


def test_nobody_waits_while_others_are_looked_into() -> None:
    uri = put(f"busy-{uuid.uuid4().hex}.parquet", parquet(TABLE))  # what was seen before is kept, also of another run
    for _ in range(looking.AT_ONCE):
        assert looking._turns.acquire(timeout=1)
    try:
        assert "try again" in preview(uri).problem
    finally:
        for _ in range(looking.AT_ONCE):
            looking._turns.release()
    assert preview(uri).rows  # that it was busy is not kept


def test_a_table_is_read_once_and_again_when_it_is_written_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = put("kept.parquet", parquet(TABLE))
    first = preview(uri)
    monkeypatch.setattr(looking, "_PROGRAM", "raise SystemExit(1)")
    assert preview(uri) == first
    store().put(uri, parquet(TABLE.slice(0, 1)))
    assert preview(uri).problem == "It cannot be looked into."


def test_a_large_table_elsewhere_is_read_by_its_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """As from an object store without files: only the beginning and the footer are fetched."""
    data = parquet(pa.table({"n": range(200_000), "s": [str(at) for at in range(200_000)]}), row_group_size=10_000)
    uri = put("remote.parquet", data)
    opened = type(store()).open
    monkeypatch.setattr(type(store()), "open", lambda self, where: io.BytesIO(opened(self, where).read()))
    monkeypatch.setattr(looking, "BEGINNING", len(data) // 4)
    monkeypatch.setattr(looking, "END", len(data) // 20)
    seen = preview(uri)
    assert (seen.total_rows, seen.rows[3]) == (200_000, ["3", "3"])


def test_there_must_be_something() -> None:
    with pytest.raises(NotFound):
        preview(store().join(store().root, "previews", "nothing"))


class Evil:
    mark: Path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def _model() -> Pipeline:
    data = np.arange(40.0).reshape(20, 2)
    model = Pipeline(
        [("scale", StandardScaler(with_mean=False)), ("forest", RandomForestClassifier(n_estimators=3, max_depth=4))]
    )
    return model.fit(data, ["a" if at % 2 else "b" for at in range(20)])


@pytest.mark.parametrize("how", ["joblib", "pickle"])
def test_a_models_parameters_are_read_without_running_it(how: str) -> None:
    file = io.BytesIO()
    joblib.dump(_model(), file) if how == "joblib" else pickle.dump(_model(), file)
    seen = preview(put(f"model-{how}.pkl", file.getvalue()))
    assert (seen.kind, seen.what, seen.problem) == (Kind.PICKLE, "sklearn.pipeline.Pipeline", "")
    told = {row[0]: row[1] for row in seen.parameters}
    assert told["steps.scale.with_mean"] == "False"
    assert (told["steps.forest"], told["steps.forest.n_estimators"]) == ("RandomForestClassifier", "3")
    assert (told["steps.forest.max_depth"], told["steps.forest.criterion"]) == ("4", "gini")


def test_nothing_in_a_pickle_is_run(tmp_path: Path) -> None:
    Evil.mark = tmp_path / "ran"
    seen = preview(put("evil.pkl", pickle.dumps({"model": Evil(), "depth": 3})))
    assert ["depth", "3"] in [list(row) for row in seen.parameters]
    assert not Evil.mark.exists()


@pytest.mark.parametrize("data", [b"\x80\x04nonsense", b"\x80\x04", pickle.dumps([1, 2])[:-2]])
def test_what_is_no_whole_pickle_is_said(data: bytes) -> None:
    seen = preview(put("broken.pkl", data))
    assert seen.kind is Kind.PICKLE and seen.problem and not seen.parameters


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, data in files.items():
            made.writestr(name, data)
    return buffer.getvalue()


LAYER = {"class_name": "Dense", "config": {"name": "dense", "trainable": True, "units": 2, "activation": "relu"}}
INNER = {"class_name": "Sequential", "config": {"name": "inner", "layers": [LAYER]}}
KERAS = {
    "metadata.json": json.dumps({"keras_version": "3.15.1", "date_saved": "2026-11-29@22:00:00"}).encode(),
    "config.json": json.dumps(
        {
            "module": "keras",
            "class_name": "Functional",
            "config": {"name": "whole", "layers": [LAYER, INNER]},
            "compile_config": {"optimizer": {"class_name": "Adam", "config": {}}, "loss": "mse", "metrics": None},
        }
    ).encode(),
    "model.weights.h5": b"12345",
}


def test_a_model_of_keras_shows_its_layers() -> None:
    seen = looked_into("m.keras", archive(KERAS))
    assert (seen.kind, seen.what, seen.problem) == (Kind.ARCHIVE, "keras.Functional", "")
    assert [tuple(row) for row in seen.parameters] == [
        ("keras", "3.15.1"),
        ("saved", "2026-11-29@22:00:00"),
        ("optimizer", "Adam"),
        ("loss", "mse"),
        ("weights", "5 bytes"),
        ("dense", "Dense(units=2, activation=relu)"),
        ("inner", "Sequential()"),
        ("inner.dense", "Dense(units=2, activation=relu)"),
    ]


def named(path: str, *given: object, **state: object) -> object:
    """What unpickles as a call of that name, with a state: as torch's classes, without torch."""

    class Named:
        def __reduce__(self) -> tuple[object, ...]:
            return (_Global(path), given, state) if state else (_Global(path), given)

    return Named()


class _Global:
    """A function of a module that is not there, which pickle writes by its name."""

    def __init__(self, path: str) -> None:
        self.__module__, _, self.__qualname__ = path.rpartition(".")
        self.__name__ = self.__qualname__

    def __call__(self) -> None: ...


_InPython: Any = pickle._Pickler  # type: ignore[attr-defined]  # its steps can be changed


def written(found: object) -> bytes:
    """Names are written without a look whether they are there."""

    class Writer(_InPython):  # type: ignore[misc]
        def save(self, obj: object, save_persistent_id: bool = True) -> None:
            if isinstance(obj, _Global):
                self.write(pickle.GLOBAL + f"{obj.__module__}\n{obj.__name__}\n".encode())
                return
            super().save(obj, save_persistent_id)

    buffer = io.BytesIO()
    Writer(buffer, 2).dump(found)
    return buffer.getvalue()


def tensor(*shape: int) -> object:
    return named("torch._utils._rebuild_tensor_v2", "storage", 0, shape)


def test_a_module_of_torch_shows_its_parts() -> None:
    weight = named("torch._utils._rebuild_parameter", tensor(2, 3), True)
    line = named("torch.nn.Linear", training=True, in_features=3, _parameters={"weight": weight}, _modules={})
    net = named("flows.Net", training=True, _parameters=OrderedDict(), _modules=OrderedDict({"line": line}))
    seen = looked_into("m.pt", archive({"m/data.pkl": written(net), "m/data/0": b"1234"}))
    assert (seen.kind, seen.what, seen.problem) == (Kind.ARCHIVE, "flows.Net", "")
    told = [tuple(row) for row in seen.parameters]
    assert told == [("line", "Linear"), ("line.in_features", "3"), ("line.weight", "tensor of 2 by 3")]


def test_a_state_of_torch_shows_its_tensors() -> None:
    state = {"epoch": 3, "model": OrderedDict({"line.weight": tensor(2, 3), "scale": tensor()})}
    seen = looked_into("s.pt", archive({"s/data.pkl": written(state)}))
    told = [tuple(row) for row in seen.parameters]
    assert told == [("epoch", "3"), ("model.line.weight", "tensor of 2 by 3"), ("model.scale", "tensor of one number")]


def test_another_archive_shows_its_files() -> None:
    seen = looked_into("x.npz", archive({"a.npy": b"123", "b.npy": b""}))
    assert seen.what == "archive of 2 files" and list(map(tuple, seen.parameters))[0] == ("a.npy", "3 bytes")


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04nonsense",
        archive({"config.json": b"no json", "metadata.json": b"{}"}),
        archive({"config.json": b"{}", "metadata.json": b'{"keras_version": "3"}'})[:-30],
        archive({"x/data.pkl": b"\x80\x02nonsense"}),
    ],
)
def test_what_is_no_whole_archive_is_said(data: bytes) -> None:
    seen = looked_into("broken.keras", data)
    assert seen.kind is Kind.ARCHIVE and seen.problem and not seen.parameters


def test_what_would_unpack_to_more_than_can_be_looked_into_is_said() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("metadata.json", b'{"keras_version": "3"}')
        made.writestr("config.json", b" " * (64 << 20))
    seen = looked_into("bomb.keras", buffer.getvalue())
    assert seen.problem == "config.json in it is too large to be looked into"
