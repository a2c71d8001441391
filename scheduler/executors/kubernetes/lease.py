"""One of several replicas of an executor works: the one that holds a Lease object of the cluster.

As client-go's leader election: times of other machines are not compared with ours. A lease counts as left when it has
not changed for its duration by our own clock; who cannot renew it for two thirds of that gives up before others begin.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

from scheduler import pulse
from scheduler.executors.kubernetes import pods
from scheduler.executors.kubernetes.client import Api, ApiError

logger = logging.getLogger(__name__)

SECONDS = 15.0
Json = dict[str, Any]


class Lease:
    """`lost` is called, once and from another thread, when it could not be kept: then nothing may be done any more."""

    def __init__(
        self, api: Api, namespace: str, name: str, holder: str, lost: Callable[[], None], *, seconds: float = SECONDS
    ) -> None:
        self.api, self.namespace, self.name = api, namespace, name
        self.holder, self.lost, self.seconds = holder, lost, seconds
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{quote(namespace, safe='')}/leases"
        self._stopping = threading.Event()
        self._decided = threading.Event()  # it is ours, or nobody waits for it any more
        self._ours = False
        self._seen: tuple[str, float] = ("", 0.0)  # version of another's lease, and when it was first seen

    def acquire(self) -> bool:
        """Wait until it is ours, and keep it from then on; False if `give_up` or `stop` was called before."""
        threading.Thread(target=self._run, name="lease", daemon=True).start()
        while not self._decided.wait(pulse.SECONDS):
            pulse.beat()
        return self._ours and not self._stopping.is_set()

    def give_up(self) -> None:
        """Wait no longer, at once: also where the cluster does not answer just now. Any thread may call it."""
        self._stopping.set()
        self._decided.set()

    def stop(self) -> None:
        """Give it back, so that another one need not wait."""
        self.give_up()
        if self._ours:
            self._release()

    def _release(self) -> None:
        try:
            found = self._get()
            if found is not None and pods.text(found, "spec", "holderIdentity") == self.holder:
                self._put(found, "")
        except ApiError as error:
            logger.info("the lease could not be given back: %s", error)

    def _run(self) -> None:
        try:
            self._try_on()
        except Exception:
            logger.exception("the lease %s/%s cannot be looked after", self.namespace, self.name)
            self.lost()

    def _try_on(self) -> None:
        told = False
        while not self._stopping.is_set():
            try:
                if self._try():
                    self._keep_it()
                    return
                if not told:
                    logger.info("another replica holds the lease %s/%s; waiting", self.namespace, self.name)
                    told = True
            except ApiError as error:
                logger.warning("the lease %s/%s cannot be had for now: %s", self.namespace, self.name, error)
            self._stopping.wait(self.seconds / 6)

    def _keep_it(self) -> None:
        if self._stopping.is_set():  # it came too late
            self._release()
            return
        self._ours = True
        self._decided.set()
        self._keep()

    def _keep(self) -> None:
        renewed = time.monotonic()
        while not self._stopping.wait(self.seconds / 6):
            try:
                if not self._try():
                    break
                renewed = time.monotonic()
            except ApiError as error:
                logger.warning("the lease cannot be renewed: %s", error)
                if time.monotonic() - renewed > self.seconds * 2 / 3:
                    break
        if not self._stopping.is_set():
            logger.error("the lease %s/%s is lost", self.namespace, self.name)
            self.lost()

    def _try(self) -> bool:
        """Whether it is ours now. Raises what Api raises; who is too late for a change has lost it (409)."""
        found = self._get()
        try:
            if found is None:
                self.api.call("POST", self._path, self._object({"name": self.name, "namespace": self.namespace}))
                return True
            if not self._may_take(found):
                return False
            self._put(found, self.holder)
        except ApiError as error:
            if error.status == 409:
                return False
            raise
        return True

    def _may_take(self, found: Json) -> bool:
        holder, version = pods.text(found, "spec", "holderIdentity"), pods.text(found, "metadata", "resourceVersion")
        if holder in ("", self.holder):
            return True
        if version != self._seen[0]:
            self._seen = (version, time.monotonic())
        return time.monotonic() - self._seen[1] > self.seconds

    def _get(self) -> Json | None:
        try:
            return self.api.call("GET", f"{self._path}/{self.name}", timeout=(3.0, self.seconds / 3))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def _put(self, found: Json, holder: str) -> None:
        metadata = {name: found["metadata"].get(name) for name in ("name", "namespace", "resourceVersion", "uid")}
        body = self._object(metadata, holder)
        self.api.call("PUT", f"{self._path}/{self.name}", body, timeout=(3.0, self.seconds / 3))

    def _object(self, metadata: Json, holder: str | None = None) -> Json:
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {
            "holderIdentity": self.holder if holder is None else holder,
            "leaseDurationSeconds": max(1, round(self.seconds)),
            "renewTime": now,
        }
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
