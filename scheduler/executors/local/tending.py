"""What need not be done at once: logs cut and sent, unused code and broken-off removals gone."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from scheduler.executors.local.clusters import Clusters
from scheduler.executors.local.means import Means
from scheduler.executors.local.pools import Pools
from scheduler.executors.local.run import Run
from scheduler.executors.local.rundir import GONE
from scheduler.executors.local.runs import Runs
from scheduler.executors.local.sent_log import SentLog
from scheduler.executors.local.steps import quietly

logger = logging.getLogger(__name__)

PRUNE_SECONDS = 3600.0
LOG_SECONDS = 3.0  # between looks at logs that have to be sent to be read


class Tending:
    def __init__(self, means: Means, runs: Runs, pools: Pools, clusters: Clusters, workers: ThreadPoolExecutor) -> None:
        self.means, self.runs, self.pools, self.clusters, self.workers = means, runs, pools, clusters, workers
        self._pruned_at = self._logs_sent_at = time.monotonic()

    def tend(self, runs: Sequence[Run]) -> None:
        now = time.monotonic()
        for run in runs:
            if run.log.too_long():
                self.workers.submit(quietly, run.log.cut)
        if now - self._pruned_at > PRUNE_SECONDS:
            self._pruned_at = now
            self.workers.submit(self._prune)
        if now - self._logs_sent_at > LOG_SECONDS:
            self._logs_sent_at = now
            for run in runs:
                if run.log.sent is not None:
                    self.workers.submit(_send, run.log.sent)

    def _prune(self) -> None:
        for path in self.runs.folder.glob(f"*{GONE}"):  # what a moment without descriptors or rights left
            shutil.rmtree(path, ignore_errors=True)
        running = {code for run in self.runs.held() if (code := self.means.code_of(run)) is not None}
        try:
            warm = (zygotes.codes() for zygotes in self.pools.all())
            self.means.code.prune(running.union(self.clusters.codes(), *warm))
        except OSError:
            logger.exception("unused code could not be removed")


def _send(log: SentLog) -> None:
    try:
        log.send_grown()
    except Exception as error:  # noqa: BLE001 - whatever the store says: it is sent again
        logger.warning("a log cannot be sent for now: %s", error)
