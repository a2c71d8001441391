"""Which shape an attempt has: its pod is thought out, with what the cluster has for it, and nothing is made."""

from __future__ import annotations

import logging

from artifacts.exceptions import InvalidArgument
from scheduler.attempts.spec import AttemptSpec
from scheduler.executors.kubernetes.client import ApiError
from scheduler.executors.kubernetes.cluster import Cluster
from scheduler.executors.kubernetes.held import Held
from scheduler.executors.kubernetes.making import Maker
from scheduler.executors.kubernetes.refusals import Kind, refusal
from scheduler.executors.kubernetes.reuse.policy import Reuse
from scheduler.executors.kubernetes.reuse.shape import Shape, fits, shape

logger = logging.getLogger(__name__)


class Sorter:
    def __init__(self, maker: Maker, cluster: Cluster) -> None:
        self.maker, self.cluster = maker, cluster

    def fits(self, spec: AttemptSpec) -> bool:
        return fits(spec, self.cluster, self.cluster.reuse_of(*spec.identity.place))

    def sort(self, held: Held) -> tuple[Shape, Reuse] | None:
        """Its shape, and what its project's pools may be. None: it gets a pod of its own, which says what is wrong."""
        spec = held.spec
        found = self._shape_of(held, spec)
        return (found, self.cluster.reuse_of(*spec.identity.place)) if found is not None else None

    def _shape_of(self, held: Held, spec: AttemptSpec) -> Shape | None:
        try:
            if not self.fits(spec) or (held.adopted and self.maker.find(held.namespace, held.name, held.id)):
                return None
            try:
                return self._shape(spec, held.namespace)
            except ApiError as error:
                if refusal(error).kind != Kind.NO_NAMESPACE:
                    raise
                self.maker.prepare_namespace(held.namespace, *spec.identity.place)
                return self._shape(spec, held.namespace)
        except InvalidArgument:
            return None
        except Exception as error:  # noqa: BLE001 - whatever it is, its own pod will meet it, too
            logger.info("%s gets a pod of its own: %s", held.handle, error)
            return None

    def _shape(self, spec: AttemptSpec, namespace: str) -> Shape | None:
        return shape(spec, self.cluster, self.maker.surroundings(spec, namespace, attempt_id=0))
