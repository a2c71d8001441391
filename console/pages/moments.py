"""Moments as HTML. Lists have hundreds of them, so they are put together without templates."""

from __future__ import annotations

from datetime import datetime
from html import escape

from console.pages.wording import spell_ago


def ago_html(moment: datetime, now: datetime) -> str:
    """How long ago it was; scripts count on from there (clocks.js)."""
    title = f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    said = escape(spell_ago(moment, now))
    return f'<time datetime="{moment.isoformat()}" title="{title}" data-clock="ago">{said}</time>'
