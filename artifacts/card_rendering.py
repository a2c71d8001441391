"""Cards rendered within a budget: those made to be costly cost a moment, once, and are then shown as they were written.

A thread cannot be interrupted, least of all inside a library that is not Python. So whatever is not small is rendered
in a process that the kernel ends; what came of it, the failure included, is kept under a hash of the card.
"""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import threading
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from artifacts.card_html import MAX_SHOWN, plain, to_html
from artifacts.kept_results import Kept

logger = logging.getLogger(__name__)

SMALL = 4_000  # characters that are rendered at once: at their worst in a few hundredths of a second
CPU_SECONDS = 2
SECONDS = 8.0  # on a busy machine two seconds of CPU take longer
MEMORY = 1 << 30  # bytes
DEEP, MAX_DEEP = 100, 32_000  # from that many elements, or brackets, in one another on, so many characters are rendered
AT_ONCE = 2  # processes that render
TURN_SECONDS = 10.0  # to wait for
FORMAT = "1"  # of what is kept; another one when rendering changes

_ROOT = Path(__file__).resolve().parent.parent
_PROGRAM = f"import sys; sys.path.insert(0, {str(_ROOT)!r}); from artifacts.card_html import main; main()"
_NESTING = re.compile(r"<(?P<close>/?)(?P<name>[A-Za-z][A-Za-z0-9]*)|[\[\]]")
_VOID = frozenset({"br", "hr", "img", "col", "wbr", "input", "meta", "link"})
_turns = threading.BoundedSemaphore(AT_ONCE)


def rendered(text: str, card_format: str) -> str:
    """Safe HTML of a card. One that takes too much time or memory is shown as text, with a word about it."""
    if len(text) <= SMALL:
        return _small(text, card_format)
    # One character more: that there is a rest is seen, and said, when it is rendered.
    text = text[: MAX_SHOWN + 1].encode(errors="replace").decode()
    kept = _kept(text, card_format)
    if (found := kept.read()) is not None:
        return found
    if len(text) > MAX_DEEP and depth(text) > DEEP:
        return plain(text[:MAX_SHOWN], "This card is shown as it was written: its structure is too deep.")
    if not _turns.acquire(timeout=TURN_SECONDS):
        return plain(text[:MAX_SHOWN], "This card is shown as it was written: too many are being rendered just now.")
    try:
        if (found := kept.read()) is None:  # nobody rendered it while we waited
            found = _in_process(text, card_format)
            kept.write(found)
        return found
    finally:
        _turns.release()


@lru_cache(maxsize=256)
def _small(text: str, card_format: str) -> str:
    return to_html(text, card_format)


def _in_process(text: str, card_format: str) -> str:
    command = [sys.executable, "-I", "-c", _PROGRAM, card_format, str(CPU_SECONDS), str(MEMORY)]
    try:
        done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=SECONDS)  # noqa: S603 - ourselves
    except subprocess.TimeoutExpired:
        return plain(text[:MAX_SHOWN], "This card is shown as it was written: rendering it takes too long.")
    if done.returncode < 0:
        return plain(text[:MAX_SHOWN], "This card is shown as it was written: rendering it takes too long.")
    if done.returncode:
        logger.warning("a card cannot be rendered: %s", done.stderr.decode(errors="replace")[-2000:])
        return plain(text[:MAX_SHOWN], "This card is shown as it was written: it cannot be rendered.")
    return done.stdout.decode()


def depth(text: str) -> int:
    """How deep elements, or brackets, are nested at most, roughly: what need not be closed is counted as if it had to.

    Takes time by the length of the text.
    """
    elements = brackets = deepest = 0
    for match in _NESTING.finditer(text):
        if match[0] == "[":
            brackets += 1
        elif match[0] == "]":
            brackets = max(0, brackets - 1)
        elif match["close"]:
            elements = max(0, elements - 1)
        elif match["name"].lower() not in _VOID:
            elements += 1
        deepest = max(deepest, elements, brackets)
    return deepest


def _kept(text: str, card_format: str) -> Kept:
    """Under a hash of the card and of what rendered it."""
    made_by = f"{FORMAT} {version('nh3')} {version('markdown-it-py')} {card_format}\n"
    return Kept("cards", made_by.encode() + text.encode(), "html")
