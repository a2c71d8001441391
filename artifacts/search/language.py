"""What somebody types into the search box, read into words, filters and an order.

drift -baseline region=SEA kind:model created>2026-01-01 metric.auc>0.9 alias:champion sort:metric.auc
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from artifacts.exceptions import InvalidArgument

MAX_TEXT = 2000

_TOKEN = re.compile(
    r'(?P<not>-(?=[^\s"]|"[^"]))?'
    r'(?:(?P<key>[^\W\d][\w.-]*)(?P<op>:|!=|>=|<=|=|>|<)(?P<value>"[^"]*"|[^\s"]*)|"(?P<quoted>[^"]*)"|(?P<word>[^\s"]+))'
)


class Condition(NamedTuple):
    """A filter as typed; `operator` is empty for a word. `negated`: what must not be (`-kind:model`, `region!=SEA`)."""

    key: str
    operator: str
    value: str
    negated: bool = False

    def __str__(self) -> str:
        value = f'"{self.value}"' if re.search(r"\s", self.value) else self.value
        return f"{'-' if self.negated else ''}{self.key}{self.operator}{value}"


def parse(text: str) -> list[Condition]:
    """The words and filters in their order. InvalidArgument when there are too many of them."""
    if len(text) > MAX_TEXT:
        raise InvalidArgument(f"the search has {len(text)} characters, at most {MAX_TEXT} are allowed")
    if "\x00" in text:
        raise InvalidArgument("the search holds a NUL character")
    found = [_condition(match) for match in _TOKEN.finditer(text)]
    return [condition for condition in found if condition.value or condition.operator]


def _condition(match: re.Match[str]) -> Condition:
    negated = match["not"] is not None
    if not match["key"]:
        return Condition("", "", match["quoted"] or match["word"] or "", negated)
    value = match["value"].strip('"')
    if match["op"] == "!=":
        return Condition(match["key"], "=", value, not negated)
    return Condition(match["key"], match["op"], value, negated)


def toggled(text: str, token: str) -> str:
    """The search with one more filter, or without it when it is there: what a click on a facet does to the box."""
    tokens = [match.group() for match in _TOKEN.finditer(text)]
    same = [each for each in tokens if parse(each) == parse(token)]
    return " ".join([each for each in tokens if each not in same] if same else [*tokens, token])


def grouped(conditions: Sequence[Condition]) -> list[list[Condition]]:
    """The conditions of which one must hold, together; all others alone."""
    numbered = [(_group(n, condition), condition) for n, condition in enumerate(conditions)]
    ordered = sorted(numbered, key=lambda one: one[0])
    return [[condition for _, condition in same] for _, same in groupby(ordered, key=lambda one: one[0])]


def _group(n: int, condition: Condition) -> tuple[str, int]:
    if condition.operator in (":", "=") and not condition.negated:
        return f"{condition.key}{condition.operator}", 0
    return "", n
