"""What somebody may call a version: `name`, `name@version`, `name:alias`, or a whole `flyte://` address."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

from causeway.http import CausewayError

PREFIX = "flyte://av0.1/"


@dataclass(frozen=True)
class Asked:
    name: str
    project: str = ""  # empty: the client's
    domain: str = ""
    version: str = ""
    alias: str = ""
    partitions: dict[str, str] = field(default_factory=dict)
    time_partition: str = ""


def parse(text: str) -> Asked:
    """Names hold none of `@ : ? /`, so that what follows them is told apart. CausewayError for what is no address."""
    if text.startswith("flyte://") and not text.startswith(PREFIX):
        raise CausewayError(
            f"{text!r} is no artifact's address: {PREFIX}<project>/<domain>/<name>[@<version>][:<alias>]"
        )
    rest, _, query = text.removeprefix(PREFIX).partition("?")
    parts = rest.split("/")
    if len(parts) != (3 if text.startswith(PREFIX) else 1) or not all(parts):
        raise CausewayError(f"{text!r} is no artifact: write its name, or {PREFIX}<project>/<domain>/<name>")
    name, _, alias = parts[-1].partition(":")
    name, _, version = name.partition("@")
    partitions = dict(parse_qsl(query, keep_blank_values=True))
    project, domain = (unquote(parts[0]), unquote(parts[1])) if len(parts) == 3 else ("", "")
    return Asked(
        name=unquote(name) if len(parts) == 3 else name,
        project=project,
        domain=domain,
        version=unquote(version),
        alias=unquote(alias),
        time_partition=partitions.pop("time_partition", ""),
        partitions=partitions,
    )
