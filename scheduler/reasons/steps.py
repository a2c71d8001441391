"""One decision of those that led to something, and who reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from lineage.walks import VersionNode
from scheduler.models import Execution

MayRead = Callable[[str, str], bool]
STEPS = 2_000  # rows of each kind
HIDDEN = "something you may not read"


@dataclass(frozen=True)
class Step:
    """One decision. `table` and `row`: its proof. `version`, `execution`, `decision`: what a page links to."""

    at: datetime
    actor: str  # a user's name, or `system:...`
    verb: str  # dotted, as in the audit trail
    words: str
    place: tuple[str, str]  # project, domain
    table: str
    row: int
    reason: str = ""
    version: int | None = None
    execution: str = ""
    decision: int | None = None

    @property
    def project(self) -> str:
        return self.place[0]

    @property
    def domain(self) -> str:
        return self.place[1]

    @property
    def is_automatic(self) -> bool:
        return not self.actor or self.actor.startswith("system:")


@dataclass(frozen=True)
class Reader:
    versions: dict[int, VersionNode]
    runs: dict[str, Execution]
    may_read: MayRead

    def name(self, node: VersionNode | None) -> str:
        """As the reader may know it."""
        if node is None or not self.may_read(node.project, node.domain):
            return HIDDEN
        return f"{node.artifact}@{node.version}"

    def place(self, pk: int) -> tuple[str, str]:
        node = self.versions[pk]
        return node.project, node.domain


def is_readable(key: str, may_read: MayRead) -> bool:
    return key.count("/") == 2 and may_read(*key.split("/")[:2])
