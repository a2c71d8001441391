"""Cards: Markdown or HTML that people wrote about a version, shown to others as HTML that can do no harm.

Kept as written and sanitised when shown, so that a fix of the sanitiser mends old cards too.
"""

from __future__ import annotations

import html
import logging
import re
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from urllib.parse import quote, unquote

import nh3
from django.conf import settings
from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from artifacts.exceptions import CausewayError
from artifacts.models import ArtifactVersion, CardFormat
from artifacts.store import store

logger = logging.getLogger(__name__)

LARGE_CARD_BYTES = 256 * 1024  # a larger card is kept as an object, not in the row
OWN_SCHEME = "card-image"  # between the sanitiser and `render_card` only
MAX_SHOWN = 256 * 1024  # characters; the rest of a larger card is left out

# fmt: off
TAGS = frozenset({
    "a", "abbr", "b", "blockquote", "br", "caption", "code", "col", "colgroup", "dd", "del", "details",
    "div", "dl", "dt", "em", "figcaption", "figure", "h1", "h2", "h3", "h4", "h5", "h6",
    "hr", "i", "img", "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "s",
    "samp", "small", "span", "strong", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th",
    "thead", "tr", "u", "ul", "var",
})
# Dropped with all that is inside them, not just unwrapped.
CONTENT_TOO = {
    "script", "style", "template", "iframe", "object", "noscript", "textarea", "title", "svg", "math",
}
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
_OWN_IMAGE = re.compile(r"(?:\./)?(?P<path>[^\s:?#\\/][^:?#\\]*\.(?:png|jpe?g|gif|webp))", re.IGNORECASE)
_OWN = re.compile(r'(<img\b[^<>]*?\ssrc=)"card-image:([^"]*)"')
_REMOTE = re.compile(r'<img\b(?P<others>[^<>]*?)\ssrc="(?P<url>https?://[^"]*)"(?P<more>[^<>]*)>', re.IGNORECASE)
_ALT = re.compile(r'\salt="([^"]+)"')
_LINK = re.compile(r"(?:https?://|mailto:|flyte://).+", re.IGNORECASE | re.DOTALL)
_ALIGN = re.compile(r'style="text-align:(left|right|center)"')
_TEX = re.compile(r"\$\$(?P<block>[^$]{1,2000})\$\$|\$(?P<inline>[^\s$](?:[^$\n]{0,1000}[^\s$])?)\$(?!\d)")
_TASK = re.compile(r"<li>(\s*(?:<p>)?)\[([ xX])\] ")


def _math(state: StateInline, silent: bool) -> bool:
    """`$x$` and `$$x$$` become elements whose text Markdown leaves alone; the page's script may typeset them."""
    match = _TEX.match(state.src, state.pos) if state.src[state.pos] == "$" else None
    if match is None:
        return False
    if not silent:
        token = state.push("math", "span", 0)
        token.content = match["block"] or match["inline"]
        token.info = "math-block" if match["block"] else "math"
    state.pos = match.end()
    return True


def _render_math(renderer: object, tokens: Sequence[Token], index: int, options: object, env: object) -> str:
    return f'<span class="{tokens[index].info}">{html.escape(tokens[index].content)}</span>'


@cache
def _markdown() -> MarkdownIt:
    """CommonMark with tables. Its time is bounded by the length of the text, also for text made to be slow."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    parser.inline.ruler.before("escape", "math", _math)
    parser.add_render_rule("math", _render_math)
    return parser


def to_html(text: str, card_format: str) -> str:
    """Safe HTML of a card: no script, style, form, frame or event handler.

    Images are inline, by http(s), or `card-image:<path>`, a file of the version itself, which `render_card` resolves.
    """
    if len(text) > MAX_SHOWN:
        text = f"{text[:MAX_SHOWN]}\n\n(The rest of this card is not shown: it is longer than {MAX_SHOWN} characters.)"
    if card_format != CardFormat.HTML:
        text = _markdown().render(text)
        text = _TASK.sub(lambda m: f'<li class="task">{m[1]}{"☐" if m[2] == " " else "☑"} ', text)
        text = _ALIGN.sub(r'align="\1"', text)
    return nh3.clean(
        text,
        tags=set(TAGS),
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        clean_content_tags=CONTENT_TOO,
        attribute_filter=_keep_attribute,
        url_schemes={"http", "https", "mailto", "data", "flyte", OWN_SCHEME},
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"img": {"loading": "lazy", "referrerpolicy": "no-referrer"}},
    )


def _keep_attribute(tag: str, name: str, value: str) -> str | None:
    if name == "class":
        return " ".join(word for word in value.split() if _CLASS.fullmatch(word)) or None
    if name == "src":
        own = _OWN_IMAGE.fullmatch(unquote(value.strip()))
        if own is not None and ".." not in own["path"].split("/"):
            return f"{OWN_SCHEME}:{quote(own['path'])}"
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
        logger.warning("card of version %s cannot be read from %s: %s", version.pk, version.card_uri, error)
        return ""


def render_card(version: ArtifactVersion, *, image_url: Callable[[str], str] | None = None) -> str:
    """Safe HTML of the version's card, empty when it has none. Nothing in it is fetched from elsewhere.

    An image with a relative path is a file of the version; `image_url` makes an address of its URI, and without it
    such images are left out. An image on another site becomes a link: showing it would tell that site who reads this.
    """
    if not version.card and not version.card_uri:
        return ""
    shown = _rendered(card_text(version), version.card_format)

    def own(match: re.Match[str]) -> str:
        uri = _image_uri(version, unquote(match[2]))
        return f'{match[1]}"{html.escape(image_url(uri))}"' if uri and image_url is not None else f'{match[1]}""'

    return _OWN.sub(own, _REMOTE.sub(_link_to_image, shown))


def _image_uri(version: ArtifactVersion, path: str) -> str:
    """The URI of a file in the version's folder, or of its only file; empty when it cannot be one of our objects."""
    uri = version.uri if version.uri.endswith(f"/{path}") else f"{version.uri.rstrip('/')}/{path}"
    return uri if version.uri and store().contains(uri) else ""


def _link_to_image(match: re.Match[str]) -> str:
    alt = _ALT.search(match["others"]) or _ALT.search(match["more"])
    words = html.escape(html.unescape(alt[1])) if alt is not None else match["url"]
    return f'<a href="{match["url"]}" rel="noopener noreferrer nofollow">image: {words}</a>'


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
