"""Why an attempt does not run yet, as one state that may have an end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from scheduler.attempts.outcomes import SYSTEM

NOW = -1.0  # a grace: waiting cannot help


@dataclass(frozen=True)
class Wait:
    """`grace`: seconds from when this code was first seen; 0: for ever. The rest says how it ends then."""

    code: str
    message: str = ""
    grace: float = 0.0
    short: bool = False  # of something that others hold and will give back
    kind: int = SYSTEM
    retryable: bool = True
    since: datetime | None = field(default=None, compare=False)  # as the cluster says, where it does
    looks_at_events: bool = field(default=False, compare=False)  # the pod itself does not say more
    queued: bool = field(default=False, compare=False)  # Kueue holds it: its Workload says more

    @property
    def reason(self) -> str:
        """One text, of which `of_reason` makes the same code and message."""
        return f"{self.code}: {self.message}"

    @classmethod
    def of_reason(cls, reason: str) -> Wait:
        """Of what others wait for that are in the same place."""
        code, _, message = reason.partition(": ")
        return cls(code, message, short=code == "QuotaExceeded")

    @property
    def fails_at_once(self) -> bool:
        return self.grace < 0
