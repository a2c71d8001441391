"""What is remembered of jobs, so that none is made twice: the port to wherever that is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True)
class Job:
    """`created_at` None: the service was asked to make it, and no answer is known."""

    connector: str
    sync: bool
    asked_at: datetime
    meta: bytes = b""
    created_at: datetime | None = None
    links: tuple[tuple[str, str], ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict)


class Jobs(Protocol):
    """Calls wait, and raise what the place raises; each is made from one of several threads."""

    def load(self, attempts: Sequence[int]) -> Mapping[int, Job]:
        """Of these attempts, those that have one."""

    def save(self, jobs: Mapping[int, Job | None]) -> None:
        """All of them, or none: by attempt; None: it has none, and the service was not asked."""
