"""From a card as it was written to HTML that can do no harm. No Django: costly cards are rendered in a process of
their own, `python -c "... card_html.main()"`, which reads the card and writes the HTML (see card_rendering.py).
"""

from __future__ import annotations

import html
import re
import resource
import sys
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:  # imported with the first card that is rendered
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

OWN_SCHEME = "card-image"  # between the sanitiser and `render_card` only
MAX_SHOWN = 256 * 1024  # characters; the rest of a larger card is left out
HTML = "html"  # CardFormat.HTML

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
    from markdown_it import MarkdownIt  # noqa: PLC0415

    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    parser.inline.ruler.before("escape", "math", _math)
    parser.add_render_rule("math", _render_math)
    return parser


def to_html(text: str, card_format: str) -> str:
    """Safe HTML of a card: no script, style, form, frame or event handler.

    Images are inline, by http(s), or `card-image:<path>`, a file of the version itself, which `render_card` resolves.
    """
    import nh3  # noqa: PLC0415

    if len(text) > MAX_SHOWN:
        text = f"{text[:MAX_SHOWN]}\n\n(The rest of this card is not shown: it is longer than {MAX_SHOWN} characters.)"
    if card_format != HTML:
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


def plain(text: str, why: str) -> str:
    """The card as it was written, for one that is not rendered, and why."""
    return f"<p><em>{html.escape(why)}</em></p>\n<pre>{html.escape(text)}</pre>\n"


def main() -> None:
    """Arguments: the format, CPU seconds and bytes of memory that it may take. Beyond them the process is killed."""
    card_format, seconds, memory = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    text = sys.stdin.buffer.read().decode()
    sys.stdout.buffer.write(to_html(text, card_format).encode())
