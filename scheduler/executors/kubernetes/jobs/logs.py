"""The logs of a job's replicas, each followed from its start and kept at an address of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from scheduler.executors.kubernetes import pods
from scheduler.executors.kubernetes.jobs import replicas
from scheduler.executors.kubernetes.jobs.kind import Rank, Seen
from scheduler.executors.kubernetes.logs import LogKeeper
from scheduler.executors.kubernetes.threads import Threads
from scheduler.uris import log_of_replica

FOLLOWERS = 200  # at a time, of all jobs; the rest are read at their end

KeeperOf = Callable[[str, str, Path, str], LogKeeper]  # pod, container, file, address


class ReplicaLogs:
    """Of one job. `saw` does not wait; the others do."""

    def __init__(self, main: Rank, log_uri: str, file: Path, keeper: KeeperOf, threads: Threads) -> None:
        """`file`: into which the main replica's is followed; those of the others lie beside it."""
        self.main, self.log_uri, self.file = main, log_uri, file
        self._keeper, self._threads = keeper, threads
        self._keepers: dict[Rank, tuple[str, LogKeeper]] = {}  # with the uid of the pod
        self._lock = threading.Lock()

    def uri_of(self, rank: Rank) -> str:
        """Where the log of a replica is, or will be; empty: nowhere."""
        if not self.log_uri:
            return ""
        return self.log_uri if rank == self.main else log_of_replica(self.log_uri, rank.name)

    def saw(self, rank: Rank, pod: Seen) -> None:
        """Follow it once it has started; of one that was made anew its newest log is kept."""
        if not self.log_uri or not replicas.has_started(pod):
            return
        over = replicas.is_over(pod)
        with self._lock:
            uid, keeper = self._keepers.get(rank, ("", None))
            if keeper is None or uid != pods.uid_of(pod):
                keeper = self._begin(rank, pod, follow=not over)
        if over:
            keeper.container_ended()

    def _begin(self, rank: Rank, pod: Seen, *, follow: bool) -> LogKeeper:
        file = self.file if rank == self.main else self.file.with_name(f"{self.file.stem}-{rank.name}.log")
        file.unlink(missing_ok=True)
        keeper = self._keeper(pods.name_of(pod), pods.primary_of(pod), file, self.uri_of(rank))
        self._keepers[rank] = (pods.uid_of(pod), keeper)
        if follow:
            self._threads.submit(keeper.follow)
        return keeper

    def finish(self) -> None:
        """Keep all. Raises what the store raises; then it may be called again."""
        for _, keeper in self._all():
            keeper.finish(())
            keeper.discard()

    def tail(self, rank: Rank) -> str:
        with self._lock:
            _, keeper = self._keepers.get(rank, ("", None))
        return keeper.peek() if keeper is not None else ""

    def send_grown(self) -> None:
        for _, keeper in self._all():
            keeper.send_grown()

    def stop(self) -> None:
        for _, keeper in self._all():
            keeper.stop()

    def _all(self) -> list[tuple[str, LogKeeper]]:
        with self._lock:
            return list(self._keepers.values())
