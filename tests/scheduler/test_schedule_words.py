"""Schedules as people say them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from scheduler.recurrence import Rate, parse_cron
from scheduler.schedules.words import in_words

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("* * * * *", "every minute"),
        ("*/3 * * * *", "every 3 minutes"),
        ("0 * * * *", "every hour"),
        ("5 * * * *", "every hour at :05"),
        ("@daily", "at 00:00, every day"),
        ("0 3 * * *", "at 03:00, every day"),
        ("30 3,15 * * 1-5", "at 03:30 and 15:30, Monday to Friday"),
        ("*/5 9-17 * * mon-fri", "every 5 minutes from 09:00 to 17:59, Monday to Friday"),
        ("0 */6 * * *", "every 6 hours"),
        ("15 */2 * * *", "every 2 hours at :15"),
        ("0 9-17 * * *", "every hour from 09:00 to 17:00, every day"),
        ("0 9 1 * *", "at 09:00, on day 1 of the month"),
        ("0 9 1,15 * MON", "at 09:00, on days 1 and 15 of the month and on Mondays"),
        ("0 0 1-31 * MON", "at 00:00, every day"),
        ("*,5 * * * *", "every minute"),
        ("0 0 1 1,7 *", "at 00:00, on day 1 of the month, in January and July"),
        ("7,19 * * * *", "at minutes 7 and 19 of the hour"),
        ("0 9 * * 7", "at 09:00, on Sundays"),
        ("0 9 * * 1,4", "at 09:00, on Mondays and Thursdays"),
        ("0 9 L * *", "at 09:00, on day L of the month"),
        ("CRON_TZ=Europe/Berlin 0 9 * * *", "at 09:00, every day, by the clocks of Europe/Berlin"),
    ],
)
def test_a_cron_line_is_said_as_it_is_meant(expression: str, words: str) -> None:
    assert in_words(parse_cron(expression)) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "every second"),
        (90, "every 90 seconds"),
        (60, "every minute"),
        (5400, "every 90 minutes"),
        (86400, "every day"),
    ],
)
def test_a_rate_is_said_in_its_largest_whole_unit(seconds: int, words: str) -> None:
    assert in_words(Rate(timedelta(seconds=seconds), START)) == words
