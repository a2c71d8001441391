from __future__ import annotations

import re
import time

import pytest
from flytekit.core.artifact import Artifact as FlyteArtifact
from hypothesis import given, settings
from hypothesis import strategies as st

from artifacts.cards import LARGE_CARD_BYTES, render_card, to_html
from artifacts.models import ArtifactVersion
from artifacts.store import store
from tests.artifacts.publishing import card_metadata, integer, publish_output

# What sanitising leaves is well formed: inside a tag, quotes end where a value ends, so values are taken out first.
VALUES = re.compile(r'"[^"]*"')
DANGER = re.compile(
    r"<\s*(?:script|style|iframe|object|embed|form|input|button|svg|math|link|meta|base|template)\b|\son\w+\s*=",
    re.IGNORECASE,
)


TAG = re.compile(r"<[^<>]*>")
ADDRESS = re.compile(r'\b(?:href|src)="(?!https?://|mailto:|flyte://|data:image/(?:png|jpeg|gif|webp);)', re.IGNORECASE)


def harms(html: str) -> bool:
    """Whether any tag of sanitised (so well-formed) HTML is dangerous, has a handler, or points where it must not."""
    return any(DANGER.search(VALUES.sub('""', tag)) or ADDRESS.search(tag) for tag in TAG.findall(html))


def test_it_renders_tables_code_tasks_and_math() -> None:
    html = to_html(
        "# Model\n\n| metric | value |\n|---|---|\n| auc | 0.9 |\n\n```python\nx = 1\n```\n\n- [x] done\n- [ ] open\n\n"
        "Loss $a_1 * b_2$ and $$\\sum_i x_i$$; costs $5 and $6.",
        "markdown",
    )
    assert "<h1>Model</h1>" in html and "<td>0.9</td>" in html
    assert '<code class="language-python">x = 1' in html
    assert "☑ done" in html and "☐ open" in html
    assert '<span class="math">a_1 * b_2</span>' in html
    assert '<span class="math-block">\\sum_i x_i</span>' in html
    assert "costs $5 and $6" in html


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt:alert(1))",
    "[click](java&#x09;script:alert(1))",
    '<a href="data:text/html,<script>alert(1)</script>">x</a>',
    '<img src="data:image/svg+xml;base64,PHN2Zz4=">',
    '<img src="/accounts/logout">',
    "![x](javascript:alert(1))",
    "<svg onload=alert(1)>",
    "<math><mtext></mtext><script>alert(1)</script></math>",
    '<iframe src="https://example.org"></iframe>',
    '<form action="/admin"><input name=password></form>',
    '<div style="position:fixed;inset:0">over everything</div>',
    "<details open ontoggle=alert(1)>x</details>",
    "<scr<script>ipt>alert(1)</script>",
    "```\n</code></pre><script>alert(1)</script>\n```",
    "$<script>alert(1)</script>$",
    '<base href="https://example.org">',
    '<p id="csrf" name="body" class="btn btn-danger">x</p>',
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
]


@pytest.mark.parametrize("card", HOSTILE)
@pytest.mark.parametrize("card_format", ["markdown", "html"])
def test_it_takes_the_harm_out_of_hostile_cards(card: str, card_format: str) -> None:
    html = to_html(card, card_format)
    assert not harms(html), html
    assert "style=" not in html and "id=" not in html and "btn" not in html and "/accounts" not in html


def test_it_keeps_images_by_reference_and_inline() -> None:
    html = to_html("![a](https://example.org/a.png) ![b](data:image/png;base64,AAAA)", "markdown")
    assert html.count("<img") == 2 and "https://example.org/a.png" in html and "data:image/png;base64,AAAA" in html
    assert 'referrerpolicy="no-referrer"' in html


PIECES = st.sampled_from(
    [*HOSTILE, "<", ">", '"', "'", "`", "[", "](", ")", "|", "\n", "&#", "<a href=", "javascript:", " on"]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES | st.text(max_size=5), max_size=12), st.sampled_from(["markdown", "html"]))
def test_no_mixture_of_hostile_pieces_does_harm(pieces: list[str], card_format: str) -> None:
    assert not harms(to_html("".join(pieces), card_format))


@pytest.mark.parametrize(
    "card", [">" * 20_000, "[" * 20_000, "*a " * 20_000, "<div>" * 20_000, "| a " * 20_000, "![" * 20_000]
)
def test_it_ends_with_deep_and_odd_cards(card: str) -> None:
    begin = time.monotonic()
    to_html(card, "markdown")
    assert time.monotonic() - begin < 10


@pytest.mark.django_db
def test_it_keeps_large_cards_as_objects(object_store: str) -> None:
    body = "# Large\n\n" + "x" * LARGE_CARD_BYTES
    version = publish_output(FlyteArtifact(name="m"), integer(1, card_metadata(body))).versions[0][1]
    assert version.card == "" and version.card_uri.startswith(f"{object_store}/cards/flytesnacks/development/m/")
    assert store().get(version.card_uri).decode() == body
    assert render_card(version).startswith("<h1>Large</h1>")


@pytest.mark.django_db
def test_it_shows_nothing_of_a_card_that_lies_elsewhere(object_store: str) -> None:
    assert render_card(ArtifactVersion(card_uri="file:///etc/passwd", card_format="markdown")) == ""
    assert render_card(ArtifactVersion()) == ""
