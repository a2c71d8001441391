"""Which way measures are better, and how several things differ in them."""

from __future__ import annotations

import pytest

from artifacts.measures import Better, Verdict, better_of, measures_of


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("auc", Better.MORE),
        ("val_loss", Better.LESS),
        ("eval/f1_macro", Better.MORE),
        ("logLoss", Better.LESS),
        ("ROC_AUC", Better.MORE),
        ("R2", Better.MORE),
        ("error_rate", Better.LESS),
        ("train_seconds", Better.LESS),
        ("f1_score_latency_ms", Better.LESS),
        ("rmse", Better.LESS),
        ("rows", Better.UNKNOWN),
        ("", Better.UNKNOWN),
        ("lossless", Better.UNKNOWN),
    ],
)
def test_a_name_tells_which_way_is_better(name: str, better: Better) -> None:
    assert better_of(name) is better


def test_each_value_is_held_against_the_base() -> None:
    (auc,) = measures_of([{"auc": 0.8}, {"auc": 0.9}, {"auc": 0.7}, {"auc": 0.8}, {}])

    assert [delta.verdict for delta in auc.deltas] == [
        Verdict.BASE,
        Verdict.BETTER,
        Verdict.WORSE,
        Verdict.EQUAL,
        Verdict.NONE,
    ]
    assert auc.deltas[1].difference == pytest.approx(0.1) and auc.deltas[1].share == pytest.approx(0.125)
    assert auc.best == {1} and auc.deltas[4].value is None


def test_what_somebody_says_goes_before_the_name() -> None:
    things = [{"auc": 1, "rows": 10}, {"auc": 2, "rows": 5}]
    auc, rows = measures_of(things, said={"auc": Better.LESS, "rows": Better.LESS})

    assert (auc.deltas[1].verdict, rows.deltas[1].verdict) == (Verdict.WORSE, Verdict.BETTER)
    assert auc.is_said and auc.best == {0}


def test_without_a_direction_it_is_other_not_better() -> None:
    (rows,) = measures_of([{"rows": 10}, {"rows": 5}], base=1)
    assert rows.deltas[0].verdict is Verdict.DIFFERENT and not rows.best


def test_a_base_of_zero_has_no_share_and_only_numbers_are_measures() -> None:
    (loss,) = measures_of([{"loss": 0, "name": "x", "ok": True}, {"loss": 3, "bad": float("nan")}])
    assert loss.deltas[1].share is None and loss.deltas[1].difference == 3


def test_all_equal_has_no_best() -> None:
    (auc,) = measures_of([{"auc": 1}, {"auc": 1}])
    assert not auc.best and not auc.differs
