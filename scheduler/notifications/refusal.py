from __future__ import annotations


class Refused(Exception):
    """A notification was not taken. `for_good`: sending it again as it is cannot help."""

    def __init__(self, reason: str, *, for_good: bool = False) -> None:
        super().__init__(reason)
        self.for_good = for_good


class NotSetUp(Refused):
    """It cannot be sent before somebody has set something: it waits, and that was no attempt."""
