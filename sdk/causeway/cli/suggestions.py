"""Did you mean: names that are near to one that there is not."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from itertools import islice

from causeway.client import CausewayError, Client

LOOKED_AT = 2_000  # names
SHOWN = 3
# What the API says of a name that there is not, and the list where those are that there are.
_MISSING = (
    (re.compile(r"no artifact '([^']+)'"), "artifacts"),
    (re.compile(r"no artifact [^/\s]+/[^/\s]+/(\S+)"), "artifacts"),
    (re.compile(r"no launch plan [^/\s]+/[^/\s]+/([^@\s]+)"), "launch-plans"),
    (re.compile(r"no workflow [^/\s]+/[^/\s]+/([^@\s]+)"), "workflows"),
    (re.compile(r"no task [^/\s]+/[^/\s]+/([^@\s]+)"), "tasks"),
    (re.compile(r"no execution [^/\s]+/[^/\s]+/(\S+)"), "executions"),
    (re.compile(r"no project (\S+)"), "projects"),
)


def near(word: str, known: Iterable[str]) -> list[str]:
    """The known words that a typing error may have meant, the nearest first; also by the last part of a dotted one."""
    whole = list(dict.fromkeys(known))
    found = difflib.get_close_matches(word, whole, n=SHOWN, cutoff=0.75)
    lasts: dict[str, str] = {}
    for each in whole:
        lasts.setdefault(each.rpartition(".")[2], each)
    found += [lasts[last] for last in difflib.get_close_matches(word.rpartition(".")[2], lasts, n=SHOWN, cutoff=0.75)]
    return [each for each in dict.fromkeys(found) if each != word][:SHOWN]


def spelled(words: Sequence[str]) -> str:
    return " or ".join(words)


def names_near(client: object, refusal: str) -> list[str]:
    """Of a refusal that names something that there is not: what is there with a name like it."""
    for pattern, listed in _MISSING:
        if isinstance(client, Client) and (found := pattern.search(refusal)):
            return near(found[1].rstrip(".,;:"), _names(client, listed))
    return []


def _names(client: Client, listed: str) -> list[str]:
    asked: dict[str, object] = {"limit": 500}
    if listed != "projects":
        asked |= {"project": client.project, "domain": client.domain}
    try:
        rows = list(islice(client.connection.pages(listed, **asked), LOOKED_AT))
    except CausewayError:  # what went wrong has been said; this is only help
        return []
    return [str(row.get("name") if listed != "projects" else row.get("id")) for row in rows]
