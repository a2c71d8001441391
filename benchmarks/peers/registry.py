"""What registries are asked: the same of the peer's and of ours."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import requests
from peers.figures import Act, Sizes
from publish import ask

CLIENTS = 4
Version = Callable[[str, int, int], tuple[str, Any]]  # of a tag, a client's number and how often it has asked
Found = Callable[[str], str]  # of a unique tag: the path that searches for it


def acts(url: str, headers: dict[str, str], version: Version, found: Found, sizes: Sizes) -> dict[str, Act]:
    _publish(url, headers, version, sizes.filled, "filled")
    return {
        "versions": lambda: _publish(url, headers, version, sizes.versions, uuid.uuid4().hex),
        "search": lambda: _search(url, headers, found, sizes),
    }


def _publish(url: str, headers: dict[str, str], version: Version, versions: int, tag: str) -> list[float]:
    """Versions a second, one a request; each has a tag that no other has."""
    return [ask(url, headers, partial(version, tag), CLIENTS, most=versions // CLIENTS)[1]]


def _search(url: str, headers: dict[str, str], found: Found, sizes: Sizes) -> list[float]:
    """Milliseconds until one of those that were published first is found by its tag, one search after the other."""
    session = requests.Session()
    session.headers.update(headers)
    took = []
    for _ in range(sizes.searches):
        tag = f"filled-{random.randrange(CLIENTS)}-{random.randrange(sizes.filled // CLIENTS)}"  # noqa: S311
        began = time.perf_counter()
        answer = session.get(url + found(tag), timeout=60)
        took.append((time.perf_counter() - began) * 1000)
        if answer.status_code != 200 or tag not in answer.text:
            raise SystemExit(f"{tag} is not found: {answer.status_code} {answer.text[:500]}")
    return took
