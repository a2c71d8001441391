"""What has to be told, however often that fails: for want of descriptors, say, the end of no run may be lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 0.5


class Untold:
    """`tell` may be called from any thread, `again` from one."""

    def __init__(self) -> None:
        self._acts: list[Callable[[], None]] = []
        self._tried_at = 0.0  # monotonic

    def __len__(self) -> int:
        return len(self._acts)

    def tell(self, act: Callable[[], None]) -> None:
        """Do it now, or, if it fails, as often as `again` is called until it works. One that fails keeps no other."""
        try:
            act()
        except Exception:
            logger.exception("what a zygote said could not be dealt with, will try again")
            self._acts.append(act)

    def again(self) -> None:
        if not self._acts or time.monotonic() < self._tried_at + AGAIN_SECONDS:
            return
        self._tried_at = time.monotonic()
        for act in list(self._acts):
            try:
                act()
            except Exception as error:  # noqa: BLE001 - it was told of when it failed first
                logger.debug("still not dealt with: %s", error)
            else:
                self._acts.remove(act)
