"""Cards: Markdown or HTML that people wrote about a version, shown to others as HTML that can do no harm.

Kept as written and sanitised when shown, so that a fix of the sanitiser mends old cards too.
"""

from __future__ import annotations

import html
import logging
import re
from collections.abc import Callable
from urllib.parse import unquote

from django.conf import settings

from artifacts.card_html import MAX_SHOWN
from artifacts.card_rendering import rendered
from artifacts.exceptions import CausewayError
from artifacts.models import ArtifactVersion, CardFormat
from artifacts.store import store

logger = logging.getLogger(__name__)

LARGE_CARD_BYTES = 256 * 1024  # a larger card is kept as an object, not in the row
_OWN = re.compile(r'(<img\b[^<>]*?\ssrc=)"card-image:([^"]*)"')
_REMOTE = re.compile(r'<img\b(?P<others>[^<>]*?)\ssrc="(?P<url>https?://[^"]*)"(?P<more>[^<>]*)>', re.IGNORECASE)
_ALT = re.compile(r'\salt="([^"]+)"')


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
    shown = rendered(card_text(version), version.card_format)

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


def store_card(version: ArtifactVersion) -> str:
    """Keep a large card as an object; its URI."""
    suffix = "html" if version.card_format == CardFormat.HTML else "md"
    project, domain, name = version.artifact.key
    uri = store().join(settings.CAUSEWAY_STORE_URL, "cards", project, domain, name, f"{version.version}.{suffix}")
    store().put(uri, version.card.encode())
    return uri
