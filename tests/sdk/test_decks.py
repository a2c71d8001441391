"""Pieces of decks: their numbers are right, they are static, and whoever cannot see the drawing has the table."""

from __future__ import annotations

import random
import re
from html.parser import HTMLParser
from typing import Any

import flytekit
import pandas as pd
import pytest
from causeway import decks
from sklearn.linear_model import LinearRegression, LogisticRegression  # type: ignore[import-untyped]
from sklearn.metrics import average_precision_score, roc_auc_score  # type: ignore[import-untyped]
from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped]
from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped]

DRAW = random.Random(7)  # noqa: S311 - data of tests
ACTUAL = [DRAW.random() < 0.4 for _ in range(400)]
SCORES = [round(DRAW.gauss(0.6 if one else 0.4, 0.2), 2) for one in ACTUAL]  # many are equal


class Checked(HTMLParser):
    """Every element that is opened is closed, and nothing of it runs or is fetched."""

    VOID = ("input", "line", "path", "rect", "circle", "polyline")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "iframe", "img", "link", "object"), tag
        assert not [name for name, _ in attrs if name.startswith("on") or name in ("src", "href")]
        if tag == "svg":
            assert {"role", "aria-label"} <= {name for name, _ in attrs}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def words(html: str) -> str:
    Checked(html)
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", html))


def test_curves_have_the_areas_that_scikit_learn_computes() -> None:
    area = f"Area under the curve {roc_auc_score(ACTUAL, SCORES):.3f}"
    average = f"Average precision {average_precision_score(ACTUAL, SCORES):.3f}"
    assert area in words(decks.roc(ACTUAL, pd.Series(SCORES)))
    assert average in words(decks.precision_recall(ACTUAL, SCORES))
    named = ["yes" if one else "no" for one in ACTUAL]
    assert area in words(decks.roc(named, SCORES, positive="yes"))


@pytest.mark.parametrize(
    ("actual", "scores", "said"),
    [
        ([0, 0], [0.1, 0.2], "no label is 1"),
        ([1, 1], [0.1, 0.2], "every label is 1"),
        ([0, 1], [0.1], "actual has 2, scores has 1"),
        ([0, 1], [0.1, float("nan")], "not all values are finite"),
        ([], [], "no values"),
    ],
)
def test_a_curve_says_what_it_lacks(actual: list[int], scores: list[float], said: str) -> None:
    for curve in (decks.roc, decks.precision_recall):
        with pytest.raises(ValueError, match=said):
            curve(actual, scores)


def test_a_confusion_matrix_counts_and_measures_each_class() -> None:
    html = decks.confusion_matrix(["a", "a", "a", "<b>"], ["a", "a", "<b>", "<b>"], title="Boats & birds")
    text = words(html)
    assert "3 of 4 are right (75.0%)" in text and "Boats &amp; birds" in html and "<b>" not in html
    assert "a 3 1 0.6667 0.8" in text  # cases, precision, recall, F1
    with pytest.raises(ValueError, match="labels lacks c"):
        decks.confusion_matrix(["a"], ["c"], labels=["a"])
    with pytest.raises(ValueError, match="too many"):
        decks.confusion_matrix(list(range(60)), list(range(60)))


def test_residuals_have_the_usual_measures() -> None:
    text = words(decks.residuals([1.0, 2.0, 3.0], [1.0, 2.0, 5.0]))
    assert "Mean absolute error 0.6667" in text and "Root mean squared error 1.155" in text and "R² -1" in text
    assert "R² nan" in words(decks.residuals([1, 1], [1, 2]))


def test_importance_reads_models_pipelines_and_mappings() -> None:
    frame = pd.DataFrame({"wind": [0.0, 1.0, 2.0, 3.0], "moon": [1.0, 0.0, 1.0, 0.0]})
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, [0, 0, 1, 1])
    assert "0 most of all" in decks.importance(pipeline)
    assert "wind most of all" in decks.importance(pipeline, names=["wind", "moon"])
    model = LinearRegression().fit(frame, [0.0, -5.0, -10.0, -15.0])
    assert re.search(r"wind -5\b.*moon", words(decks.importance(model)))
    assert "moon most of all" in decks.importance({"wind": 0.1, "moon": -0.9})
    with pytest.raises(ValueError, match="str says no feature_importances_"):
        decks.importance("a model")
    with pytest.raises(ValueError, match="names has 1, values has 2"):
        decks.importance(model, names=["wind"])


def test_a_table_has_every_order_and_shows_one_without_a_script() -> None:
    rows = [{"boat": "Gull", "fish": 3}, {"boat": "Tern", "fish": None}, {"boat": "Skua", "fish": 10}]
    html = decks.table(rows, sort="fish")
    Checked(html)
    assert html.count("checked>") == 1 and html.count('type="radio"') == 4
    first = html[html.index("<tbody>") : html.index("</tbody>")]
    assert re.findall(r"Gull|Tern|Skua", first) == ["Skua", "Gull", "Tern"]
    assert len(re.findall("<caption>", html)) == 4
    assert "as they come" in decks.table(pd.DataFrame(rows))
    assert "the first 200 are shown" in decks.table([{"n": number} for number in range(500)])
    with pytest.raises(ValueError, match="no column 'cat': there are boat, fish"):
        decks.table(rows, sort="cat")


def test_they_come_into_the_running_tasks_deck() -> None:
    kept: list[Any] = []

    @flytekit.task(enable_deck=True)
    def evaluate() -> int:
        decks.show(decks.table([{"a": 1}]), name="Evaluation")
        decks.show(decks.importance({"b": 1.0}), name="Evaluation")
        kept.extend(deck for deck in flytekit.current_context().decks if deck.name == "Evaluation")
        return 1

    assert evaluate() == 1
    (deck,) = kept
    assert "Sort by" in deck.html and "b most of all" in deck.html
