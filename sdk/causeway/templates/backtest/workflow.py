"""A model is tried on every hour of a range, as it would have been known then: one task an hour, a report at the end.

Hours that were tried before come from the cache, so a longer range costs only the new ones.
"""

from datetime import datetime, timedelta, timezone
from functools import partial

import pandas as pd
from causeway import decks
from flytekit import map_task, task, workflow

MOST_HOURS = 24 * 31


@task
def hours(start: datetime, end: datetime) -> list[datetime]:
    number = int((end - start) / timedelta(hours=1))
    if not 0 < number <= MOST_HOURS:
        raise ValueError(f"a range of 1 to {MOST_HOURS} hours is needed, this one has {number}")
    return [start + timedelta(hours=one) for one in range(number)]


@task(cache=True, cache_version="1", retries=1)
def try_hour(hour: datetime, window: int) -> dict[str, float]:
    """Replace both lines with your own: what was known before the hour, and what came."""
    known = [float((hour - timedelta(hours=back)).hour) for back in range(1, window + 1)]
    came = float(hour.hour)
    return {"hour": hour.timestamp(), "told": sum(known) / len(known), "came": came}


@task(enable_deck=True)
def report(tried: list[dict[str, float]]) -> float:
    """The mean absolute error, and a deck with the residuals and the worst hours."""
    frame = pd.DataFrame(tried)
    frame["off"] = (frame["came"] - frame["told"]).abs()
    worst = frame.nlargest(50, "off").assign(hour=lambda rows: pd.to_datetime(rows["hour"], unit="s").astype(str))
    decks.show(
        decks.residuals(frame["came"], frame["told"]),
        decks.table(worst, title="The worst hours", sort="off"),
        name="Backtest",
    )
    return float(frame["off"].mean())


@workflow
def backtest(
    start: datetime = datetime(2026, 1, 1, tzinfo=timezone.utc),
    end: datetime = datetime(2026, 1, 2, tzinfo=timezone.utc),
    window: int = 3,
) -> float:
    tried = map_task(partial(try_hour, window=window), concurrency=8)(hour=hours(start=start, end=end))
    return report(tried=tried)
