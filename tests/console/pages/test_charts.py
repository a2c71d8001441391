"""Charts: where things are drawn, and that nothing is told by the picture alone."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from console.pages.charts import Axis, Bar, Bound, Dot, Part, Path, Series, bars, lines, parallel
from console.pages.charts.lines import DOTS
from console.pages.charts.scales import COLOURS, TimeScale, scale_of, spell_mark
from console.pages.charts.tags import chart, strip

START = datetime(2026, 3, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("values", "marks"),
    [
        ([0.91, 0.97], [0.9, 0.92, 0.94, 0.96, 0.98]),
        ([0, 100], [0, 25, 50, 75, 100]),
        ([3, 3], [1, 2, 3, 4, 5]),
        ([-2, 6], [-2, 0, 2, 4, 6]),
        ([], [0, 0.25, 0.5, 0.75, 1]),
        ([float("nan"), 1, 5], [1, 2, 3, 4, 5]),
    ],
)
def test_an_axis_has_round_marks_that_hold_all_values(values: list[float], marks: list[float]) -> None:
    scale = scale_of(values)
    assert [round(mark, 6) for mark in scale.marks] == marks
    assert (scale.at(scale.low), scale.at(scale.high)) == (0, 100)


@pytest.mark.parametrize("values", [[1e-9, 2e-9], [1e15, 1.0000001e15], [-5, -5], [0.1, 0.1], [7e300, 8e300]])
def test_an_axis_of_very_small_and_large_numbers_has_an_end(values: list[float]) -> None:
    scale = scale_of(values)
    assert 2 <= len(scale.marks) <= 8
    assert scale.low <= min(values) and scale.high >= max(values)


def test_an_axis_of_time_is_as_exact_as_its_span() -> None:
    def labels(span: timedelta) -> list[str]:
        return TimeScale(START, START + span).labels

    assert labels(timedelta(days=8)) == ["03-01", "03-03", "03-05", "03-07", "03-09"]
    assert labels(timedelta(hours=2)) == ["03-01 00:00", "03-01 01:00", "03-01 02:00"]
    assert labels(timedelta(0)) == ["", "2026-03-01 00:00", ""]
    assert TimeScale(START, START).at(START) == 50


def test_numbers_beside_an_axis_are_short() -> None:
    assert [spell_mark(value) for value in (0.0, 0.25, 1500.0, 2.5e9, 1e-7)] == [
        "0",
        "0.25",
        "1,500",
        "2.5e+09",
        "1e-07",
    ]


def test_lines_place_dots_by_time_and_value() -> None:
    days = [Dot(START + timedelta(days=day), value) for day, value in ((2, 100.0), (0, 0.0), (1, 25.0))]
    drawn = lines("auc", [Series("SEA", days)])

    assert drawn is not None
    assert drawn.series[0].points == "0,100 50,75 100,0"
    assert [label for _, label in drawn.grid] == ["100", "75", "50", "25", "0"]


def test_of_many_dots_the_newest_are_told_and_those_that_stand_out() -> None:
    dots = [Dot(START + timedelta(days=day), 1.0, mark="champion" if day == 3 else "") for day in range(DOTS + 20)]
    drawn = lines("auc", [Series("SEA", dots)])

    assert drawn is not None
    assert drawn.untold == 19 and len(drawn.rows) == len(drawn.series[0].dots) == DOTS + 1
    assert drawn.series[0].points.count(",") == DOTS + 20
    assert "Without 19 older ones" in chart(drawn)


def test_more_series_than_colours_are_named_and_in_the_table() -> None:
    drawn = lines("auc", [Series(f"region {at}", [Dot(START, float(at))]) for at in range(COLOURS + 2)])

    assert drawn is not None
    assert len(drawn.series) == COLOURS and drawn.left_out == ["region 8", "region 9"]
    assert {name for name, *_ in drawn.rows} >= {"region 0", "region 9"}
    assert "In the table only: region 8; region 9" in chart(drawn)


def test_bars_stand_on_zero_and_hang_below_it() -> None:
    drawn = bars("deltas", [Bar.of("up", 4), Bar.of("down", -4), Bar("both", [Part(2, "good"), Part(2, "bad")])])

    assert drawn is not None
    up, down, both = (bar.parts for bar in drawn.bars)
    assert [(part.y, part.height) for part in up] == [(0, 50)]
    assert [(part.y, part.height) for part in down] == [(50, 50)]
    assert [(part.y, part.height) for part in both] == [(25, 25), (0, 25)]


def test_few_bars_with_room_for_many_stand_at_the_right_end() -> None:
    drawn = bars("runs", [Bar.of("a", 1), Bar.of("b", 2)], at_least=10)

    assert drawn is not None
    assert [(bar.x, bar.width) for bar in drawn.bars] == [(81, 8), (91, 8)]


def test_a_bar_of_nothing_is_drawn_only_where_it_stands_for_something() -> None:
    given = [Bar.of("queued", 0), Bar.of("ran", 10)]
    for least, placed in ((0.0, [[], [(0, 100)]]), (4.0, [[(96, 4)], [(0, 100)]])):
        drawn = bars("runs", given, least=least)
        assert drawn is not None
        assert [[(part.y, part.height) for part in bar.parts] for bar in drawn.bars] == placed


def test_the_ends_can_be_named_instead_of_the_bars() -> None:
    drawn = bars("runs", [Bar.of("a", 1), Bar.of("b", 2)], ends=("older", "now"))
    assert drawn is not None
    assert list(drawn.below) == ["older", "now"]


def test_a_curve_tells_the_time_that_had_passed_and_what_bounds_it() -> None:
    dots = [Dot(START + timedelta(seconds=at), value) for at, value in ((0, 1.0), (30, 4.0), (90, 2.0))]
    drawn = lines(
        "cpu", [Series("cpu", dots)], head=("", "After", "cores"), since=START, bound=Bound(8, "asked for 8"),
        with_zero=True, with_dots=False,
    )  # fmt: skip

    assert drawn is not None
    assert drawn.series[0].points == "0,87.5 33.3,50 100,75"
    assert drawn.below == ["0.00 s", "45 s", "1 min 30 s"]
    assert [when for _, when, _ in drawn.rows] == ["0.00 s", "30 s", "1 min 30 s"]
    page = chart(drawn)
    assert "asked for 8" in page and 'class="chart-bound" x1="0" x2="100%" y1="0.00%"' in page
    assert "chart-dot" not in page and '<th scope="col"></th>' not in page


def test_every_picture_has_its_values_in_words() -> None:
    page = chart(bars("Runs", [Bar.of("Monday", 1234, url="/x/")], head=("Day", "Runs")))
    assert '<td><a href="/x/">Monday</a></td><td class="num">1,234</td>' in page
    drawn = bars("Runs", [Bar.of("Monday", 3)], words="3 runs, none failed")
    assert "3 runs, none failed" in strip(drawn) and 'aria-hidden="true"' in strip(drawn)


def test_what_people_wrote_is_no_markup() -> None:
    bad = "<script>alert(1)</script>"
    drawn = (
        lines(bad, [Series(bad, [Dot(START, 1.0, words=bad, mark=bad, url="/")]), Series("b", [Dot(START, 2.0)])]),
        bars(bad, [Bar(bad, [Part(1, "good", bad)], words=bad)]),
        parallel(bad, [Axis(bad), Axis("b")], [Path(bad, [1, 2]), Path("c", [3, None])]),
    )
    assert all("<script" not in chart(one) for one in drawn)


def test_nothing_draws_nothing() -> None:
    assert lines("a", [Series("b", [])]) is None and bars("a", []) is None
    assert parallel("a", [Axis("b")], [Path("c", [1]), Path("d", [2])]) is None
    assert chart(None) == strip(None) == ""


def test_parallel_axes_have_the_better_end_on_top() -> None:
    axes = [Axis("auc"), Axis("loss", is_less_better=True)]
    drawn = parallel("compared", axes, [Path("old", [0.0, 100.0]), Path("new", [100.0, 0.0])])

    assert drawn is not None
    old, new = ([dot.y for dot in path.dots] for path in drawn.paths)
    assert (old, new) == ([100, 100], [0, 0])
    assert (drawn.axes[1].top, drawn.axes[1].bottom) == ("0", "100")


def test_a_missing_value_breaks_the_line() -> None:
    axes = [Axis(name) for name in "abcd"]
    drawn = parallel("compared", axes, [Path("x", [1.0, None, 2.0, 3.0]), Path("y", [2.0, 2.0, 1.0, 1.0])])

    assert drawn is not None
    assert len(drawn.paths[0].dots) == 3 and len(drawn.paths[0].lines) == 1
