"""The kinds of jobs there are, by task type. A new one is a module beside this, and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.attempts.spec import AttemptSpec
from scheduler.executors.kubernetes.jobs import dask, mpi, pytorch, ray, spark, tensorflow
from scheduler.executors.kubernetes.jobs.kind import Kind

KINDS: Mapping[str, Kind] = {one.KIND.task_type: one.KIND for one in (pytorch, tensorflow, mpi, ray, spark, dask)}


def kind_of(spec: AttemptSpec) -> Kind | None:
    """None: the attempt is one pod."""
    return KINDS.get(spec.task_type) if spec.job is not None else None
