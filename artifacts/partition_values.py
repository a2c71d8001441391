"""Partition values as such: their digest, and how words have them. Models use this, so that it knows none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode


def digest_of(partitions: Mapping[str, str]) -> str:
    """32 hexadecimal digits that stand for the partition values, whatever their order."""
    canonical = json.dumps(dict(partitions), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()


NO_PARTITIONS = digest_of({})


def in_words(partitions: Mapping[str, str]) -> str:
    """`kind=x, region=SEA`."""
    return ", ".join(f"{key}={value}" for key, value in sorted(partitions.items()))


def called(alias: str, partitions: Mapping[str, str]) -> str:
    """What a pointer is called: `champion`, or `champion?region=SEA` where its alias is kept per region."""
    return f"{alias}?{urlencode(sorted(partitions.items()))}" if partitions else alias


def read_called(word: str) -> tuple[str, dict[str, str]]:
    """The alias or version that somebody names by one word, and the partition values that he says."""
    name, _, query = word.partition("?")
    return name, dict(parse_qsl(query, keep_blank_values=True))
