"""Plain values on their way to the API and back, and what is in the way of the bytes of others."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar
from unittest.mock import Mock

import pytest
from causeway import transfers
from causeway.client import Client
from causeway.durations import isoformat, parse_duration
from causeway.http import CausewayError
from causeway.spelling import spell, unspell
from causeway.values import to_python
from hypothesis import given
from hypothesis import strategies as st

from artifacts.literals import spelling
from artifacts.partitions import parse_duration as server_reads
from tests.artifacts.literal_trees import KEYS, TEXTS


@given(st.timedeltas())
def test_durations_lose_nothing(duration: timedelta) -> None:
    if duration == timedelta.min:  # has no opposite
        return
    assert parse_duration(isoformat(duration)) == duration


@given(st.timedeltas(timedelta(days=-3_000_000), timedelta(days=3_000_000)))
def test_the_server_reads_durations_as_they_were_meant(duration: timedelta) -> None:
    assert server_reads(isoformat(duration)) == duration


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(seconds=1, microseconds=1), "PT1.000001S"),
        (timedelta(seconds=59, microseconds=999_999), "PT59.999999S"),
        (timedelta(microseconds=50), "PT0.00005S"),
        (timedelta(days=400_000, microseconds=1), "P400000DT0.000001S"),
        (-timedelta(hours=2, microseconds=500), "-PT2H0.0005S"),
    ],
)
def test_durations_are_iso_8601(duration: timedelta, text: str) -> None:
    assert isoformat(duration) == text


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | TEXTS | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, values, max_size=3))
def test_the_sdk_and_the_server_spell_alike(value: dict[str, Any]) -> None:
    assert spell(value) == spelling.spell(value)
    assert unspell(spell(value)) == value


@pytest.mark.parametrize(
    ("shown", "kinds", "meant"),
    [
        ("hello", ["DATETIME", "STRING"], "hello"),
        ({"type": "str", "value": "2026-01-01"}, ["DATETIME", "STRING"], "2026-01-01"),
        ({"type": "datetime", "value": "2026-01-01T00:00:00.123456789Z"}, ["STRING", "DATETIME"],
         datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=timezone.utc)),
        ({"type": "str #2", "value": "PT1H"}, ["DURATION", "STRING"], "PT1H"),
        ({"type": "float", "value": "Infinity"}, ["FLOAT", "STRING"], math.inf),
    ],
)  # fmt: skip
def test_it_reads_which_variant_a_value_is_of(shown: Any, kinds: list[str], meant: Any) -> None:
    union = {"unionType": {"variants": [{"simple": kind} for kind in kinds]}}
    found = to_python(shown, union, Mock())
    assert (type(found), found) == (type(meant), meant)


def test_a_structure_is_pulled_as_it_was_published(client: Client) -> None:
    value = {
        "loss": math.nan, "best": -math.inf, "raw": b"\x00\xff", 1: "one", "text": "NaN", "n": 1, "x": 1.0,
        "at": datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=timezone.utc), "odd": {"$float": "NaN"},
    }  # fmt: skip
    found = client.create("run", value).pull()
    assert math.isnan(found.pop("loss")) and value.pop("loss") is math.nan
    assert found == value and type(found["x"]) is float


@pytest.mark.parametrize("value", [timedelta(days=400_000, microseconds=1), math.inf, 0.1 + 0.2, 2**53 + 1])
def test_a_plain_value_is_pulled_as_it_was_published(client: Client, value: Any) -> None:
    found = client.create("plain", value).pull()
    assert (type(found), found) == (type(value), value)


def test_names_and_versions_are_quoted_in_addresses() -> None:
    client = Client("http://nowhere", "token", "team a", "development")
    client.connection.call = Mock(return_value={})  # type: ignore[method-assign]
    client.set_active("team/daily plan", "v1/x?y", active=True)
    client.launch_plan("team/daily plan", "v1/x?y")
    activated, read = (call.args[1] for call in client.connection.call.call_args_list)
    assert activated == f"{read}/activate"
    assert read == "launch-plans/team%20a/development/team%2Fdaily%20plan/versions/v1%2Fx%3Fy"


def test_inputs_of_a_launch_are_what_was_given() -> None:
    client = Client("http://nowhere", "token")
    client.connection.call = Mock(return_value={})  # type: ignore[method-assign]
    at = datetime(2026, 1, 31, tzinfo=timezone.utc)
    client.launch("plan", {"a": math.nan, "b": {"loss": math.inf}, "c": at, "d": timedelta(days=1), "e": b"x", "f": 1})
    assert client.connection.call.call_args.kwargs["json"]["inputs"] == {
        "a": "NaN",
        "b": {"loss": {"$float": "Infinity"}},
        "c": at.isoformat(),
        "d": "P1D",
        "e": {"base64": "eA=="},
        "f": 1,
    }


class Away(BaseHTTPRequestHandler):
    """Refuses what `refusals` says, then gives ten bytes."""

    refusals: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        status = self.refusals.pop(0) if self.refusals else 200
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"x" * 10 if status == 200 else b"")

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(transfers, "FIRST_PAUSE", 0.001)
    server = HTTPServer(("127.0.0.1", 0), Away)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_download_waits_for_a_server_that_is_away(away: str, tmp_path: Path) -> None:
    Away.refusals = [503, 502, 429]
    transfers.download(away, tmp_path / "x", size=10, identity="x")
    assert (tmp_path / "x").read_bytes() == b"x" * 10 and not Away.refusals


@pytest.mark.parametrize("refusals", [[403, 200], [503] * transfers.TRIES])
def test_a_download_ends_with_what_was_refused(away: str, tmp_path: Path, refusals: list[int]) -> None:
    Away.refusals = list(refusals)
    with pytest.raises(CausewayError) as caught:
        transfers.download(away, tmp_path / "x", size=10, identity="x")
    assert caught.value.status == refusals[0]
