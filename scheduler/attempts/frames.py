"""Stacks of JVMs in what programs print: their frames fill a log's end, and say nothing to who did not write Spark."""

from __future__ import annotations

import re

_FRAME = re.compile(r"^[ \t]+(?:at [\w.$/@<>]+\(.*\)|\.\.\. \d+ more)[ \t]*(?:\n|$)", re.MULTILINE)


def without_frames(text: str) -> str:
    """The exceptions stay, each with what it came from."""
    return _FRAME.sub("", text)
