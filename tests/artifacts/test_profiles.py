"""Profiles of datasets and how they differ, beside what numpy and scipy say of the raw data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import ks_2samp

from artifacts.profiles.drift import drift
from artifacts.profiles.making import CHILD


def profile(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        job = {"files": [file.fileno()], "memory": 1 << 30, "seconds": 60, "threads": 1}
        done = subprocess.run(
            [sys.executable, "-I", str(CHILD)],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            pass_fds=[file.fileno()],
            env={"PATH": os.defpath},
            check=True,
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def parquet(path: Path, **columns: Any) -> dict[str, Any]:
    pq.write_table(pa.table(columns), path)
    return profile(path)


def column(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in found["columns"] if one["name"] == name)


def test_it_says_what_each_column_holds(tmp_path: Path) -> None:
    values = [1.0, 2.0, 3.0, None, float("nan"), float("inf")]
    found = parquet(tmp_path / "a", n=values, text=["x", "x", "y", None, "x", ""], flag=[True] * 5 + [None])
    assert found["rows"] == 6
    number = column(found, "n")
    assert (number["type"], number["count"]) == ("DOUBLE", 5)
    assert (number["min"], number["max"], number["mean"], number["std"]) == (1.0, 3.0, 2.0, 1.0)
    assert column(found, "text")["top"] == [["x", 3], ["", 1], ["y", 1]]
    assert column(found, "flag")["top"] == [["true", 5]]


def test_percentiles_are_those_of_the_data(tmp_path: Path) -> None:
    values = np.random.default_rng(7).normal(size=20_000)
    found = column(parquet(tmp_path / "a", x=values), "x")["percentiles"]
    assert np.allclose(found[5:96], np.percentile(values, range(5, 96)), atol=0.02)


@pytest.mark.parametrize("text", ["a,b\n1,x\n2,y\n", "a\tb\n1\tx\n2\ty\n"])
def test_it_reads_csv(tmp_path: Path, text: str) -> None:
    (tmp_path / "a").write_text(text)
    found = profile(tmp_path / "a")
    assert found["rows"] == 2 and [one["name"] for one in found["columns"]] == ["a", "b"]


@pytest.mark.parametrize("data", [b"PAR1 and nothing else", b"\x00\x01\x02" * 50])
def test_it_says_what_it_cannot_read(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)
    assert profile(tmp_path / "a")["problem"]


def test_the_same_does_not_differ(tmp_path: Path) -> None:
    found = parquet(tmp_path / "a", x=list(range(1000)), c=["a", "b"] * 500)
    for one in drift(found, found):
        assert (one.psi, one.js, one.p_value) == (0.0, 0.0, 1.0)


def test_it_differs_as_the_raw_data_does(tmp_path: Path) -> None:
    source = np.random.default_rng(7)
    before, after = source.normal(size=20_000), source.normal(0.5, 1.2, size=10_000)
    [found] = drift(parquet(tmp_path / "a", x=before), parquet(tmp_path / "b", x=after))
    edges = np.concatenate([[-np.inf], np.percentile(before, range(10, 100, 10)), [np.inf]])
    p, q = (np.histogram(values, edges)[0] / len(values) for values in (before, after))
    assert found.psi == pytest.approx(float(np.sum((q - p) * np.log(q / p))), abs=0.05)
    exact = ks_2samp(before, after)
    assert found.ks == pytest.approx(exact.statistic, abs=0.02)
    assert found.p_value is not None and found.p_value < 1e-6 and exact.pvalue < 1e-6


def test_categories_differ_by_their_frequencies(tmp_path: Path) -> None:
    before, after = ["a"] * 500 + ["b"] * 500, ["a"] * 900 + ["b"] * 100
    [found] = drift(parquet(tmp_path / "a", c=before), parquet(tmp_path / "b", c=after))
    assert found.psi == pytest.approx(0.4 * np.log(0.9 / 0.5) - 0.4 * np.log(0.1 / 0.5))
    assert found.ks is None and found.p_value is not None and found.p_value < 1e-6


def test_only_common_columns_are_compared_and_only_those_named(tmp_path: Path) -> None:
    before, after = parquet(tmp_path / "a", x=[1, 2], y=[1, 2]), parquet(tmp_path / "b", y=[1, 2], x=[1, 2], z=[1, 2])
    assert {one.name for one in drift(before, after)} == {"x", "y"}
    assert {one.name for one in drift(before, after, ["y", "z"])} == {"y"}
