r"""What somebody types into the search box, read into words, filters and an order.

    drift -baseline region=SEA kind:model created>2026-01-01 metric.auc>0.9 alias:champion sort:metric.auc

Anything that can be published can be asked for: values and words stand in quotes where they hold blanks, and so do the
names of metrics, attributes and partition keys (`metric."eval loss"<0.5`). Within quotes `\"` is a quote and `\\` a
backslash. What cannot be read is refused with what to write in its place; nothing that looks like a filter is a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from artifacts.exceptions import InvalidArgument

MAX_TEXT = 2000

_QUOTED = r'"(?:\\["\\]|\\(?!["\\])|[^"\\])*"'  # each character in one way only: no backtracking
_NAMED = "(?:metric|metadata|partition|input|output)[.]"  # of these whatever name was published can follow
_KEY = rf'{_NAMED}(?:{_QUOTED}|[^\s":=<>!]+)|[^\W\d][\w.-]*'
_VALUE = rf'{_QUOTED}|metric[.]{_QUOTED}(?:-asc|-desc)?|[^\s"]*'
_TOKEN = re.compile(
    rf'(?P<not>-(?=[^\s"]|"[^"]))?'
    rf"(?:(?P<key>{_KEY})(?P<op>:|!=|>=|<=|=|>|<)(?P<value>{_VALUE})|(?P<quoted>{_QUOTED})|(?P<word>[^\s\"]+))"
    rf"(?=\s|$)",
    re.IGNORECASE,
)
_BARE_NAME = re.compile(r'[^\s":=<>!]+')
_BARE_VALUE = re.compile(r'[^\s"]*')
_BARE_WORD = re.compile(r'[^\s"=<>:-][^\s"=<>:]*')


class Condition(NamedTuple):
    """A filter as typed; `operator` is empty for a word. `negated`: what must not be (`-kind:model`, `region!=SEA`)."""

    key: str
    operator: str
    value: str
    negated: bool = False

    def __str__(self) -> str:
        """What to type for it: `parse` gives the same again."""
        not_ = "-" if self.negated else ""
        if not self.operator:
            return not_ + _quoted_unless(_BARE_WORD, self.value)
        return f"{not_}{_written_key(self.key)}{self.operator}{_quoted_unless(_BARE_VALUE, self.value)}"


def parse(text: str) -> list[Condition]:
    """The words and filters in their order. InvalidArgument names what cannot be read, or the limit of length."""
    return [condition for _, condition in _tokens(text) if condition.value or condition.operator]


def toggled(text: str, token: str) -> str:
    """The search with one more filter, or without it when it is there: what a click on a facet does to the box."""
    tokens = list(_tokens(text))
    wanted = parse(token)
    kept = [raw for raw, condition in tokens if [condition] != wanted]
    return " ".join(kept if len(kept) < len(tokens) else [*kept, token])


def grouped(conditions: Sequence[Condition]) -> list[list[Condition]]:
    """The conditions of which one must hold, together; all others alone."""
    numbered = [(_group(n, condition), condition) for n, condition in enumerate(conditions)]
    ordered = sorted(numbered, key=lambda one: one[0])
    return [[condition for _, condition in same] for _, same in groupby(ordered, key=lambda one: one[0])]


def _group(n: int, condition: Condition) -> tuple[str, int]:
    if condition.operator in (":", "=") and not condition.negated:
        return f"{condition.key}{condition.operator}", 0
    return "", n


def _tokens(text: str) -> Iterator[tuple[str, Condition]]:
    """Each word and filter, as typed and as read."""
    if len(text) > MAX_TEXT:
        raise InvalidArgument(f"the search has {len(text)} characters, at most {MAX_TEXT} are allowed")
    if "\x00" in text:
        raise InvalidArgument("the search holds a NUL character")
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        match = _TOKEN.match(text, at)
        if match is None:
            raise _unreadable(text[at:])
        yield match.group(), _condition(match)
        at = match.end()


def _condition(match: re.Match[str]) -> Condition:
    negated = match["not"] is not None
    if not match["key"]:
        word = match["word"] or ""
        if re.search("[=<>]", word):
            raise _unreadable(word)
        return Condition("", "", word or _plain(match["quoted"]), negated)
    key, value = _read_key(match["key"]), _read_value(match["value"])
    if match["op"] == "!=":
        return Condition(key, "=", value, not negated)
    return Condition(key, match["op"], value, negated)


def _unreadable(rest: str) -> InvalidArgument:
    """What is said of the text from where it makes no sense."""
    shown = rest[:80]
    if '"' in shown.partition(" ")[0] or shown.startswith('"'):
        return InvalidArgument(
            f"the quotes in {shown!r} cannot be read: a word, value or name stands in quotes as a whole, "
            r'with \" for a quote and \\ for a backslash in it, like region="say \"hi\""'
        )
    return InvalidArgument(
        f"{shown!r} is neither a word nor a filter: write it in quotes to look for it as words; the names of metrics, "
        "attributes and partitions follow metric., metadata. and partition., in quotes if need be "
        '(metric."eval loss"<0.5)'
    )


def _read_key(text: str) -> str:
    prefix, dot, name = text.partition(".")
    return f"{prefix}{dot}{_plain(name)}" if name.startswith('"') else text


def _read_value(text: str) -> str:
    """The value without its quotes; of `metric."eval loss"-asc`, what `sort:` takes, without those inside."""
    begin, end = text.find('"'), text.rfind('"') + 1
    return text if begin < 0 else text[:begin] + _plain(text[begin:end]) + text[end:]


def _plain(quoted: str) -> str:
    return re.sub(r'\\(["\\])', r"\1", quoted[1:-1])


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def _quoted_unless(bare: re.Pattern[str], text: str) -> str:
    return text if bare.fullmatch(text) else _quoted(text)


def _written_key(key: str) -> str:
    prefix, dot, name = key.partition(".")
    if not re.fullmatch(_NAMED, f"{prefix}{dot}", re.IGNORECASE):
        return key
    return f"{prefix}.{_quoted_unless(_BARE_NAME, name)}"
