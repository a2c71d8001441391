"""The budget of a card: with small budgets and harmless cards, what would happen to costly ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pytest_django import Settings

from artifacts import card_rendering
from artifacts.card_html import MAX_SHOWN, to_html
from artifacts.card_rendering import MAX_DEEP, SMALL, depth, rendered
from artifacts.kept_results import KEPT_SECONDS

LONG = "# A card\n\n" + "Some <b>words</b> & *more*.\n\n" * 400
AS_WRITTEN = "This card is shown as it was written"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, settings: Settings) -> Path:
    settings.CAUSEWAY_HOME = tmp_path
    return tmp_path / "cache" / "cards"


@pytest.fixture
def no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(text: str, card_format: str) -> str:
        raise AssertionError("it was rendered in a process")

    monkeypatch.setattr(card_rendering, "_in_process", refuse)


@pytest.mark.parametrize("card_format", ["markdown", "html"])
def test_a_process_makes_of_a_card_what_we_would(card_format: str) -> None:
    odd = LONG + "größe ☃ \x00"
    assert rendered(odd, card_format) == to_html(odd, card_format)
    assert "half ? surrogate" in rendered(LONG + "half \ud800 surrogate", card_format)


def test_a_rest_that_is_not_shown_is_said() -> None:
    assert "The rest of this card is not shown" in rendered("word " * (MAX_SHOWN // 4), "markdown")


def test_small_cards_need_no_process(no_process: None, cache: Path) -> None:
    assert rendered("*a*" + " b" * (SMALL // 3), "markdown").startswith("<p><em>a</em>")
    assert not cache.exists()


@pytest.mark.parametrize(
    ("limit", "value", "why"),
    # Without memory Python 3.10 comes to no end, later ones say so.
    [("SECONDS", 0.01, "takes too long"), ("MEMORY", 20 << 20, "")],
)
def test_what_exceeds_its_budget_is_shown_as_text_and_tried_once(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: float, why: str
) -> None:
    monkeypatch.setattr(card_rendering, limit, value)
    shown = rendered(LONG, "markdown")
    assert AS_WRITTEN in shown and why in shown
    assert "Some &lt;b&gt;words&lt;/b&gt; &amp; *more*." in shown and "<b>" not in shown
    monkeypatch.setattr(card_rendering, "_in_process", lambda text, card_format: "again")
    assert rendered(LONG, "markdown") == shown


def test_cpu_time_is_limited_by_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread of ours has to be awake for it; here with a program that only counts."""
    program = card_rendering._PROGRAM.replace(
        "import main; main()", "import main; import artifacts.card_html as c; c.to_html = count; main()"
    )
    count = "def count(text, card_format):\n    while True: pass\n"
    monkeypatch.setattr(card_rendering, "_PROGRAM", f"{count}{program}")
    monkeypatch.setattr(card_rendering, "CPU_SECONDS", 1)
    monkeypatch.setattr(card_rendering, "SECONDS", 60.0)
    assert "takes too long" in rendered(LONG, "markdown")


def test_a_card_is_rendered_once_for_all_processes(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    made: list[str] = []

    def make(text: str, card_format: str) -> str:
        made.append(card_format)
        return "made"

    monkeypatch.setattr(card_rendering, "_in_process", make)
    for _ in range(3):
        assert rendered(LONG, "markdown") == "made"
    assert rendered(LONG, "html") == "made"
    assert made == ["markdown", "html"]
    (old, *_), others = sorted(cache.iterdir()), len(list(cache.iterdir()))
    os.utime(old, (0, os.stat(old).st_mtime - 2 * KEPT_SECONDS))
    rendered(LONG + "another", "markdown")
    assert not old.exists() and len(list(cache.iterdir())) == others


def test_a_card_that_cannot_be_kept_is_shown(cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("a file where the folder should be")
    assert rendered(LONG, "markdown").startswith("<h1>A card</h1>")


def test_too_many_at_once_are_not_waited_for(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setattr(card_rendering, "TURN_SECONDS", 0.01)
    for _ in range(card_rendering.AT_ONCE):
        assert card_rendering._turns.acquire(timeout=1)
    try:
        assert AS_WRITTEN in rendered(LONG, "markdown")
    finally:
        for _ in range(card_rendering.AT_ONCE):
            card_rendering._turns.release()
    assert not cache.exists()  # the next visit finds it rendered
    assert rendered(LONG, "markdown").startswith("<h1>A card</h1>")


@pytest.mark.parametrize(
    ("text", "deep"), [("<ul><li>a</li></ul>" * 50, 2), ("<b>" * 7 + "</b>" * 7, 7), ("[[x](y)]", 2), ("a < b <br>", 0)]
)
def test_it_knows_how_deep_a_card_is(text: str, deep: int) -> None:
    assert depth(text) == deep


def test_a_long_card_that_is_too_deep_is_not_tried(no_process: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card_rendering, "DEEP", 3)
    nested = "<div>" * 4 + "words " * (MAX_DEEP // 5) + "</div>" * 4
    assert "its structure is too deep" in rendered(nested, "html")
    with pytest.raises(AssertionError, match="in a process"):
        rendered(nested[:MAX_DEEP], "html")
