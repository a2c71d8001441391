"""What artifacts, partition keys and aliases may be called."""

from __future__ import annotations

import re
from collections.abc import Iterable

from artifacts.exceptions import InvalidArgument

MAX_NAME = 255
MAX_PARTITION_KEYS = 10
MAX_PARTITION_VALUE = 1024
MAX_VERSION = 400
MAX_PLACE = 64

# What a `flyte://` address uses as its own punctuation, white space at the ends, and control characters are left out.
_NAME = re.compile(r"[^\s/@:?#&=%\x00-\x1f\x7f](?:[^/@:?#&=%\x00-\x1f\x7f]*[^\s/@:?#&=%\x00-\x1f\x7f])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_KEY = re.compile(r"[^\W\d][\w.-]*")
_VERSION = re.compile(r"[\w][\w.+-]*")
_ALIAS = re.compile(r"[A-Za-z][\w.-]*")


def check_name(name: str) -> str:
    if not name:
        raise InvalidArgument("an artifact needs a name")
    if len(name) > MAX_NAME or not _NAME.fullmatch(name) or name in (".", ".."):
        raise InvalidArgument(
            f"'{name[:80]}' is not an artifact name: at most {MAX_NAME} characters, without / @ : ? # "
            f"& = % and control "
            "characters, without blanks at the ends, and not . or .."
        )
    return name


def check_place(project: str, domain: str) -> None:
    for what, text in (("project", project), ("domain", domain)):
        if not 0 < len(text) <= MAX_PLACE or _CONTROL.search(text):
            raise InvalidArgument(f"{text[:80]!r} is not a {what}: 1 to {MAX_PLACE} characters, none of them control")


def check_version(version: str) -> str:
    if version == "latest":
        raise InvalidArgument("'latest' always names the newest version: no version can be called so")
    if len(version) > MAX_VERSION or not _VERSION.fullmatch(version):
        raise InvalidArgument(
            f"'{version[:80]}' is not a version: at most {MAX_VERSION} letters, digits, '.', '_', '-' and '+', "
            "beginning with a letter or digit"
        )
    return version


def check_partition_keys(keys: Iterable[str]) -> list[str]:
    """The keys in their declared order; at most ten, as flytekit has it."""
    found = list(keys)
    if len(found) > MAX_PARTITION_KEYS:
        raise InvalidArgument(f"{len(found)} partition keys, at most {MAX_PARTITION_KEYS} are allowed")
    for key in found:
        if len(key) > MAX_NAME or not _KEY.fullmatch(key):
            raise InvalidArgument(
                f"'{key[:80]}' is not a partition key: a letter, then letters, digits, '_', '.' and '-'"
            )
        if key == "time_partition":
            raise InvalidArgument(
                "'time_partition' is no partition key: declare the artifact as time partitioned instead"
            )
    return found


def check_partition_value(key: str, value: str) -> str:
    if not value:
        raise InvalidArgument(f"partition '{key}' has no value")
    if len(value) > MAX_PARTITION_VALUE:
        raise InvalidArgument(
            f"the value of partition '{key}' has {len(value)} characters, at most {MAX_PARTITION_VALUE} are allowed"
        )
    if "\x00" in value:
        raise InvalidArgument(f"the value of partition '{key}' holds a NUL character")
    return value


def check_alias(name: str) -> str:
    if name == "latest":
        raise InvalidArgument("'latest' always names the newest version and cannot be moved")
    if len(name) > 64 or not _ALIAS.fullmatch(name):
        raise InvalidArgument(
            f"'{name[:80]}' is not an alias: a letter, then at most 63 letters, digits, '_', '.' and '-'"
        )
    return name
