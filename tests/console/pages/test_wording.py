from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from flyteidl.core import execution_pb2

from console.pages.failures import describe_error
from console.pages.tags import metric, milliseconds
from console.pages.wording import spell_ago, spell_browser, spell_duration, spell_size

NOW = datetime(2026, 5, 17, 12, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0.00 s"),
        (0.42, "0.42 s"),
        (9.96, "10.0 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (90061, "1 d 1 h"),
    ],
)
def test_it_spells_durations_with_two_units(seconds: float, words: str) -> None:
    assert spell_duration(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "just now"), (30, "30 s ago"), (3599, "59 min ago"), (86400 * 2, "2 d ago"), (86400 * 40, "2026-04-07")],
)
def test_it_spells_how_long_ago(seconds: int, words: str) -> None:
    assert spell_ago(NOW - timedelta(seconds=seconds), NOW) == words


@pytest.mark.parametrize(("count", "words"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 KB"), (2_500_000_000, "2.5 GB")])
def test_it_spells_sizes(count: int, words: str) -> None:
    assert spell_size(count) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.97371234, "0.97371"), (569, "569"), (4288300.0, "4,288,300"), (1e-7, "1e-07"), (3.0, "3"), ("text", "text")],
)
def test_it_writes_metrics_as_people_do(value: object, words: str) -> None:
    assert metric(value) == words


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36",
            "Chrome on Linux",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/156.0 Safari/537.36 Edg/156.0", "Edge on Windows"),
        ("Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0", "Firefox on Android"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", ""),
    ],
)
def test_it_says_which_browser_it_is(agent: str, words: str) -> None:
    assert spell_browser(agent) == words


@pytest.mark.parametrize(("count", "words"), [(12.4, "12 ms"), (16350, "16 s"), (1500, "1.5 s")])
def test_it_writes_latencies_from_a_second_on_in_seconds(count: float, words: str) -> None:
    assert milliseconds(count) == words


@pytest.mark.parametrize(
    ("message", "summary"),
    [
        ("Trace:\n\n    Traceback ...\n    E: two\n    lines\n\nMessage:\n\n    E: two\n    lines", "E: two"),
        ("Traceback (most recent call last):\n  File ...\nValueError: no", "ValueError: no"),
        ("4 of 60 items failed\n[4]: Trace:\n ...\nValueError: item 4", "4 of 60 items failed"),
        ("only this", "only this"),
        ("", "USER:Code"),
        ("x" * 400, "x" * 299 + "…"),
    ],
)
def test_it_says_what_an_error_says_in_one_line(message: str, summary: str) -> None:
    failure = describe_error(execution_pb2.ExecutionError(code="USER:Code", message=message).SerializeToString())
    assert failure is not None and failure.summary == summary
