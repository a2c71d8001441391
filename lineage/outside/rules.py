"""Naming rules: which datasets of other systems become artifacts, and what these are called.

A pattern is the name itself, with `*` for anything and `{word}` for a part that the artifact's name or a partition is
made of: up to the next character of the pattern, and never beyond a slash. So every pattern is looked at once, from
left to right, however a name is made up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from artifacts.exceptions import CausewayError, InvalidArgument
from artifacts.names import check_name, check_partition_keys, check_partition_value
from lineage.outside.events import Name

MAX_PATTERN = 500
MAX_STARS = 2  # each may stand for anything: more would have to be tried in too many ways
_WORD = re.compile(r"\{([a-z_][a-z0-9_]*)\}|(\*)|([^{}*])|([{}])")
_TEMPLATE = re.compile(r"\{([a-z_][a-z0-9_]*)\}")


@dataclass(frozen=True)
class Rule:
    """`partitions`: templates by key. `namespace` and `name` are patterns of the dataset's."""

    namespace: str
    name: str
    artifact: str
    partitions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Named:
    artifact: str
    partitions: dict[str, str]


def check_rule(rule: Rule) -> None:
    """InvalidArgument where a pattern is wrong, or a template asks for a part that no pattern has."""
    words = {"namespace", "name"}
    for what, pattern in (("namespace", rule.namespace), ("name", rule.name)):
        try:
            found = set(compiled(pattern).groupindex)
        except InvalidArgument as error:
            raise InvalidArgument(f"{what}: {error.message}") from None
        if twice := words & found:
            raise InvalidArgument(f"{what}: {{{sorted(twice)[0]}}} is there twice, or a word of its own")
        words |= found
    check_partition_keys(key for key, _ in rule.partitions)
    for what, template in (("artifact", rule.artifact), *rule.partitions):
        if not template:
            raise InvalidArgument(f"{what}: a template has a character at least")
        if unknown := sorted(set(_TEMPLATE.findall(template)) - words):
            raise InvalidArgument(f"{what}: {{{unknown[0]}}} is in no pattern; known are: {', '.join(sorted(words))}")
    if not _TEMPLATE.search(rule.artifact):
        check_name(rule.artifact)


@lru_cache(maxsize=1000)
def compiled(pattern: str) -> re.Pattern[str]:
    """InvalidArgument for a brace that holds no word, a word twice, words side by side, and too many stars."""
    if not 0 < len(pattern) <= MAX_PATTERN:
        raise InvalidArgument(f"a pattern has 1 to {MAX_PATTERN} characters")
    parts = [found.groups() for found in _WORD.finditer(pattern)]
    if sum(star is not None for _, star, _, _ in parts) > MAX_STARS:
        raise InvalidArgument(f"a pattern has at most {MAX_STARS} stars")
    written, words = [], set()
    for index, (word, star, plain, brace) in enumerate(parts):
        if brace:
            raise InvalidArgument("a brace of a pattern holds a word of small letters, as in {table}")
        if word is None:
            written.append(".*" if star else re.escape(plain))
            continue
        after = parts[index + 1] if index + 1 < len(parts) else (None, None, "/", None)
        if word in words or after[2] is None:
            raise InvalidArgument(f"{{{word}}} stands twice, or before another one or a star with nothing in between")
        words.add(word)
        written.append(f"(?P<{word}>[^/{re.escape(after[2])}]+)")
    return re.compile("".join(written), re.DOTALL)


def named_by(rules: Sequence[Rule], dataset: Name) -> tuple[int, Named | CausewayError] | None:
    """The first rule that fits, by its place, with what it says; an error where that is no name. None: no rule fits."""
    for index, rule in enumerate(rules):
        namespace, name = (
            compiled(rule.namespace).fullmatch(dataset.namespace),
            compiled(rule.name).fullmatch(dataset.name),
        )
        if namespace is None or name is None:
            continue
        words = {"namespace": dataset.namespace, "name": dataset.name, **namespace.groupdict(), **name.groupdict()}
        try:
            return index, _named(rule, words)
        except CausewayError as error:
            return index, error
    return None


def _named(rule: Rule, words: Mapping[str, str]) -> Named:
    artifact = check_name(_filled(rule.artifact, words))
    values = {key: check_partition_value(key, _filled(template, words)) for key, template in rule.partitions}
    return Named(artifact, values)


def _filled(template: str, words: Mapping[str, str]) -> str:
    return _TEMPLATE.sub(lambda found: words[found[1]], template)


def address_of(dataset: Name) -> str:
    """Where the data lies, as OpenLineage's naming says: `s3://bucket` and `a/b` are `s3://bucket/a/b`.

    What names no server of data (`file`, a cluster's name) becomes an address that opens nothing:
    `openlineage://<namespace>/<name>`.
    """
    scheme, found, rest = dataset.namespace.partition("://")
    name = dataset.name.lstrip("/")
    if not found or scheme.lower() == "file" or not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
        return f"openlineage://{(rest or scheme).strip('/')}/{name}"
    return f"{scheme}://{rest.rstrip('/')}/{name}"
