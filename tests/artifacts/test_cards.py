from __future__ import annotations

import re
import time

import pytest
from flytekit.core.artifact import Artifact as FlyteArtifact
from hypothesis import given, settings
from hypothesis import strategies as st

from artifacts.card_html import to_html
from artifacts.cards import LARGE_CARD_BYTES, render_card
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
ADDRESS = re.compile(
    r'\b(?:href|src)="(?!https?://|mailto:|flyte://|card-image:|data:image/(?:png|jpeg|gif|webp);)', re.IGNORECASE
)


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


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("card", "shown"),
    [
        ("![roc](plots/roc.png)", 'src="/shown/{uri}/plots/roc.png"'),
        ("![roc](./plots/gr%C3%B6%C3%9Fe.JPG)", 'src="/shown/{uri}/plots/größe.JPG"'),
        ('<img alt="roc" src="plots/roc.png">', 'src="/shown/{uri}/plots/roc.png"'),
        ("![up](../other/roc.png)", None),
        ("![up](a/../../../roc.png)", None),
        ("![up](%2e%2e/roc.png)", None),
        ("![root](/etc/roc.png)", None),
        ("![drawn](roc.svg)", None),
        ("![x](card-image:roc.png)", None),
        ("![x](javascript:alert(1)//a.png)", None),
    ],
)
def test_it_shows_images_of_the_same_version(object_store: str, card: str, shown: str | None) -> None:
    uri = f"{object_store}/artifacts/one"
    version = ArtifactVersion(card=card, card_format="markdown", uri=uri)
    html = render_card(version, image_url=lambda found: f"/shown/{found}")
    assert (shown.format(uri=uri) in html) if shown else "src=" not in html, html
    assert "/shown/" not in render_card(version) and "card-image" not in render_card(version)


@pytest.mark.django_db
def test_an_image_may_be_the_versions_only_file_but_not_lie_elsewhere(object_store: str) -> None:
    version = ArtifactVersion(card="![x](roc.png)", card_format="markdown", uri=f"{object_store}/artifacts/roc.png")
    assert f'src="{version.uri}"' in render_card(version, image_url=str)
    version.uri = "s3://elsewhere/folder"
    assert 'src=""' in render_card(version, image_url=str)


def test_an_image_on_another_site_is_a_link() -> None:
    card = '![a "plot"](https://example.org/a.png?x=1&y=2) <img src="http://example.org/b.gif">'
    html = render_card(ArtifactVersion(card=card, card_format="markdown"))
    assert "<img" not in html and "image: a &quot;plot&quot;</a>" in html
    assert 'href="https://example.org/a.png?x=1&amp;y=2"' in html and "image: http://example.org/b.gif</a>" in html


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
    begin = time.process_time()
    to_html(card, "markdown")
    assert time.process_time() - begin < 10  # one that does not end takes minutes


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
