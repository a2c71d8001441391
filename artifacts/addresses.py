"""`flyte://av0.1/<project>/<domain>/<name>[@<version>][:<alias>][?<key>=<value>&...]`: the address of a version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlencode

from artifacts.exceptions import InvalidArgument
from artifacts.models import ArtifactVersion

PREFIX = "flyte://av0.1/"


@dataclass(frozen=True)
class Address:
    project: str
    domain: str
    name: str
    version: str = ""
    alias: str = ""
    partitions: Mapping[str, str] = field(default_factory=dict)
    time_partition: str = ""

    def __str__(self) -> str:
        text = PREFIX + "/".join(quote(part, safe="") for part in (self.project, self.domain, self.name))
        text += f"@{quote(self.version, safe='+')}" if self.version else ""
        text += f":{quote(self.alias, safe='')}" if self.alias else ""
        asked = {**self.partitions, **({"time_partition": self.time_partition} if self.time_partition else {})}
        return text + (f"?{urlencode(asked)}" if asked else "")


def parse_address(text: str) -> Address:
    """InvalidArgument, showing the form, when it is no address."""
    rest, _, query = text.partition("?")
    parts = rest.removeprefix(PREFIX).split("/")
    if not text.startswith(PREFIX) or len(parts) != 3 or not all(parts):
        raise InvalidArgument(
            f"'{text[:120]}' is not an artifact address: "
            f"{PREFIX}<project>/<domain>/<name>[@<version>][:<alias>][?<key>=<value>]"
        )
    name, _, alias = parts[2].partition(":")
    name, _, version = name.partition("@")
    partitions = dict(parse_qsl(query, keep_blank_values=True))
    return Address(
        project=unquote(parts[0]),
        domain=unquote(parts[1]),
        name=unquote(name),
        version=unquote(version),
        alias=unquote(alias),
        time_partition=partitions.pop("time_partition", ""),
        partitions=partitions,
    )


def address_of(version: ArtifactVersion) -> str:
    """The address that always finds this version."""
    return str(Address(*version.artifact.key, version=version.version))
