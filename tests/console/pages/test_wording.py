from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from console.pages.wording import spell_ago, spell_duration, spell_size

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
