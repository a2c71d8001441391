from __future__ import annotations


class Refused(Exception):
    """A notification was not taken. `for_good`: sending it again cannot help. `no_answer`: nobody said so."""

    def __init__(self, reason: str, *, for_good: bool = False, no_answer: bool = False) -> None:
        super().__init__(reason)
        self.for_good, self.no_answer = for_good, no_answer


class NotSetUp(Refused):
    """It cannot be sent before somebody has set something: it waits, and that was no attempt."""
