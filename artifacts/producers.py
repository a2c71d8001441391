"""What made a version, in one word: `task:<name>@<version>` or `workflow:<name>@<version>`.

Names and versions may hold any character, `@` too: the first `@` ends the name, and one within it is written `%40`.
"""

from __future__ import annotations

from urllib.parse import unquote

MAX_PRODUCER = 600  # characters: a kind, a name of 255 and a version of 255; longer ones that escapes made are cut


def written(kind: str, name: str, version: str) -> str:
    """The producer as it is stored with what it made. `kind` is `task` or `workflow`."""
    return f"{kind}:{name.replace('%', '%25').replace('@', '%40')}@{version}"[:MAX_PRODUCER]


def name_of(producer: str) -> str:
    """The name of the task or workflow; empty where the text names none, as from outside it may."""
    name, at, _ = producer.partition(":")[2].partition("@")
    return unquote(name) if at else ""
