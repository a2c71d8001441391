"""The kinds of jobs there are, by task type. A new one is a module beside this, and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.attempts.spec import AttemptSpec
from scheduler.executors.kubernetes.jobs import dask, mpi, pytorch, ray, spark, tensorflow
from scheduler.executors.kubernetes.jobs.kind import Kind
from scheduler.executors.kubernetes.resource import Resource

KINDS: Mapping[str, Kind] = {one.KIND.task_type: one.KIND for one in (pytorch, tensorflow, mpi, ray, spark, dask)}

RESOURCES: tuple[Resource, ...] = tuple(one for kind in KINDS.values() for one in kind.resources)


def resource_of(job: Mapping[str, object]) -> Resource | None:
    """Which of the kinds an object is; None: of none of them."""
    return next(
        (one for one in RESOURCES if (one.api_version, one.kind) == (job.get("apiVersion"), job.get("kind"))), None
    )


def kind_of(spec: AttemptSpec) -> Kind | None:
    """None: the attempt is one pod."""
    return KINDS.get(spec.task_type) if spec.job is not None else None
