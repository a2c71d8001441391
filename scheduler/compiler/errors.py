"""All that is wrong with a workflow, told at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from flyteidl.core import identifier_pb2

from artifacts.exceptions import InvalidArgument

SHOWN = 50


@dataclass
class Complaints:
    """Collects what a validation finds; `scope` puts the name of a sub-workflow before what is found inside it."""

    found: list[str] = field(default_factory=list)
    scope: str = ""

    def add(self, node_id: str, message: str) -> None:
        line = f"{self.scope}node {node_id}: {message}" if node_id else f"{self.scope}{message}"
        if line not in self.found:
            self.found.append(line)

    def within(self, name: str) -> Complaints:
        return Complaints(found=self.found, scope=f"{self.scope}{name}: ")

    def aside(self) -> Complaints:
        """For trying something whose failure is not yet an error."""
        return Complaints(scope=self.scope)

    def raise_if_any(self, what: str) -> None:
        if not self.found:
            return
        count = len(self.found)
        shown = "\n".join(f"  - {line}" for line in self.found[:SHOWN])
        more = f"\n  ... and {count - SHOWN} more" if count > SHOWN else ""
        errors = "1 error" if count == 1 else f"{count} errors"
        raise InvalidArgument(f"{what} does not compile ({errors}):\n{shown}{more}", detail=list(self.found))


def spell(identifier: identifier_pb2.Identifier) -> str:
    return f"{identifier.project}/{identifier.domain}/{identifier.name}@{identifier.version}"
