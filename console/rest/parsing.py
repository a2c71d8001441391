"""JSON bodies, read strictly: what could not be stored or would take the reader too deep is refused at the door."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from artifacts.json_text import once_each

MAX_DEPTH = 100
_NESTING = frozenset({dict, list})
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")  # an escaped surrogate: half a character, if it stands alone


class StrictJson(JSONParser):
    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        return read_json(stream.read())


def read_json(raw: bytes, *, once: bool = True) -> Any:
    """Raises ParseError, which becomes a 400: not JSON, not UTF-8, NaN, half characters, nested too deep, and a name
    twice in one object unless `once` is false: of what others' programs send by themselves the last one counts.
    """
    try:
        data = json.loads(raw.decode(), parse_constant=_refuse, object_pairs_hook=once_each if once else None)
    except RecursionError:
        raise ParseError(f"the JSON is nested deeper than {MAX_DEPTH}") from None
    except ValueError as error:
        raise ParseError(f"the body is not JSON: {error}") from error
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _is_deeper(data, MAX_DEPTH):
        raise ParseError(f"the JSON is nested deeper than {MAX_DEPTH}")
    if _HALF.search(raw):
        try:
            json.dumps(data, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ParseError("the JSON holds half of a character: a surrogate that stands alone") from None
    return data


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON value")


def _is_deeper(data: Any, depth: int) -> bool:
    level = [data] if type(data) in _NESTING else []
    for _ in range(depth):
        level = [
            item for each in level for item in (each.values() if type(each) is dict else each) if type(item) in _NESTING
        ]
        if not level:
            return False
    return True
