"""Items of a map whose outputs existed when it began: where they lie is written beside the map's other data."""

from __future__ import annotations

import json
from collections.abc import Mapping

from artifacts.exceptions import NotFound
from artifacts.store import store


def read_reused(uri: str) -> dict[int, str]:
    """URIs of their outputs, by the item's number; empty if nothing was written."""
    try:
        return {int(index): place for index, place in json.loads(store().get(uri)).items()}
    except NotFound:
        return {}


def write_reused(uri: str, outputs: Mapping[int, str]) -> None:
    store().put(uri, json.dumps({str(index): outputs[index] for index in sorted(outputs)}).encode())
