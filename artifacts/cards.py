"""Cards: Markdown or HTML that people wrote about a version, shown to others as HTML that can do no harm.

Kept as written and sanitised when shown, so that a fix of the sanitiser mends old cards too.
"""

from __future__ import annotations

import html
import logging
import re
from functools import lru_cache
from xml.etree import ElementTree

import markdown
import nh3
from django.conf import settings
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor
from markdown.util import AtomicString

from artifacts.exceptions import CausewayError
from artifacts.models import ArtifactVersion, CardFormat
from artifacts.store import store

logger = logging.getLogger(__name__)

LARGE_CARD_BYTES = 256 * 1024  # a larger card is kept as an object, not in the row
MAX_SHOWN = 1024 * 1024  # characters; the rest of a larger card is left out

# fmt: off
TAGS = frozenset({
    "a", "abbr", "b", "blockquote", "br", "caption", "code", "col", "colgroup", "dd", "del", "details",
    "div", "dl", "dt", "em", "figcaption", "figure", "h1", "h2", "h3", "h4", "h5", "h6",
    "hr", "i", "img", "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "s",
    "samp", "small", "span", "strong", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th",
    "thead", "tr", "u", "ul", "var",
})
# fmt: on
ATTRIBUTES = {
    "*": {"class", "title", "lang", "dir"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan", "align"},
    "th": {"colspan", "rowspan", "align", "scope"},
    "col": {"span"},
    "colgroup": {"span"},
    "ol": {"start", "type"},
    "details": {"open"},
}
_CLASS = re.compile(r"language-[\w+#.-]{1,40}|math|math-block|task|highlight")
_IMAGE = re.compile(r"https?://.+|data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]+", re.IGNORECASE | re.DOTALL)
_LINK = re.compile(r"(?:https?://|mailto:|flyte://).+", re.IGNORECASE | re.DOTALL)
_TASK = re.compile(r"<li>(\s*(?:<p>)?)\[([ xX])\] ")


class _Math(InlineProcessor):
    """`$x$` and `$$x$$` become elements whose text Markdown leaves alone; the page's script may typeset them."""

    def handleMatch(  # type: ignore[override]  # noqa: N802 - the library's name
        self, m: re.Match[str], data: str
    ) -> tuple[ElementTree.Element, int, int]:
        block = m.group(0).startswith("$$")
        element = ElementTree.Element("span", {"class": "math-block" if block else "math"})
        element.text = AtomicString(m.group("tex"))
        return element, m.start(0), m.end(0)


class _MathExtension(Extension):
    def extendMarkdown(self, md: markdown.Markdown) -> None:  # noqa: N802 - the library's name
        md.inlinePatterns.register(_Math(r"\$\$(?P<tex>[^$]+)\$\$", md), "math-block", 186)
        md.inlinePatterns.register(_Math(r"\$(?P<tex>[^\s$](?:[^$\n]*[^\s$])?)\$(?!\d)", md), "math", 185)


def to_html(text: str, card_format: str) -> str:
    """Safe HTML of a card: no script, style, form, frame or event handler; images by http(s) or inline only."""
    text = text[:MAX_SHOWN]
    if card_format != CardFormat.HTML:
        try:
            text = markdown.markdown(text, extensions=["extra", "sane_lists", _MathExtension()], output_format="html")
        except RecursionError:  # thousands of nested quotes
            text = f"<pre>{html.escape(text)}</pre>"
        text = _TASK.sub(lambda m: f'<li class="task">{m[1]}{"☐" if m[2] == " " else "☑"} ', text)
    return nh3.clean(
        text,
        tags=set(TAGS),
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        clean_content_tags={
            "script",
            "style",
            "template",
            "iframe",
            "object",
            "noscript",
            "textarea",
            "title",
            "svg",
            "math",
        },
        attribute_filter=_keep_attribute,
        url_schemes={"http", "https", "mailto", "data", "flyte"},
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"img": {"loading": "lazy", "referrerpolicy": "no-referrer"}},
    )


def _keep_attribute(tag: str, name: str, value: str) -> str | None:
    if name == "class":
        return " ".join(word for word in value.split() if _CLASS.fullmatch(word)) or None
    if name == "src":
        return value if _IMAGE.fullmatch(value.strip()) else None
    if name == "href":
        return value if _LINK.fullmatch(value.strip()) else None
    return value


def card_text(version: ArtifactVersion) -> str:
    """The card as written; empty when there is none or its object cannot be read."""
    if version.card or not version.card_uri:
        return version.card
    try:
        with store().open(version.card_uri) as stream:
            return stream.read(4 * MAX_SHOWN).decode("utf-8", errors="replace")
    except (CausewayError, OSError) as error:
        logger.warning("card of %s cannot be read from %s: %s", version, version.card_uri, error)
        return ""


def render_card(version: ArtifactVersion) -> str:
    """Safe HTML of the version's card, empty when it has none."""
    if not version.card and not version.card_uri:
        return ""
    return _rendered(card_text(version), version.card_format)


@lru_cache(maxsize=64)
def _rendered(text: str, card_format: str) -> str:
    return to_html(text, card_format)


def store_card(version: ArtifactVersion) -> str:
    """Keep a large card as an object; its URI."""
    suffix = "html" if version.card_format == CardFormat.HTML else "md"
    project, domain, name = version.artifact.key
    uri = store().join(settings.CAUSEWAY_STORE_URL, "cards", project, domain, name, f"{version.version}.{suffix}")
    store().put(uri, version.card.encode())
    return uri
