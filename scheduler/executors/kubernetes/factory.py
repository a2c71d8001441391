"""Makes the executor of one of the settings' clusters."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from django.conf import settings
from django.db import close_old_connections

from artifacts.store import store
from scheduler import task_tokens
from scheduler.executors.base import Assignment
from scheduler.executors.kubernetes.cluster import BadCluster, Cluster
from scheduler.executors.kubernetes.clusters import KIND, cluster, logs_folder
from scheduler.executors.kubernetes.connection import api_of
from scheduler.executors.kubernetes.executor import KubernetesExecutor
from scheduler.executors.kubernetes.reuse.shape import TOKEN
from scheduler.executors.registry import BadSetup, Setup
from scheduler.executors.store_keys import store_keys
from scheduler.models import TaskExecution
from scheduler.phases import ATTEMPT_TERMINAL
from scheduler.secrets.lookup import mounts_for
from scheduler.secrets.mounts import Mounts
from scheduler.secrets.names import Request


def make(setup: Setup) -> KubernetesExecutor:
    """Raises BadSetup."""
    try:
        found = cluster(setup.cluster)
        api = api_of(found)
    except BadCluster as error:
        raise BadSetup(str(error)) from None
    return KubernetesExecutor(
        found,
        api,
        store(),
        logs_folder(setup.home, found.name),
        owner=owner(),
        secrets_of=lambda attempt_id, asked: _find_secrets(attempt_id, asked, elsewhere=found.namespace_secrets),
        env_of=lambda assignment: addresses(assignment, found),
        store_keys=keys_of(found),
        max_log_bytes=settings.CAUSEWAY_MAX_LOG_BYTES,
        max_deck_bytes=settings.CAUSEWAY_MAX_DECK_BYTES,
        task_seconds=settings.CAUSEWAY_TASK_TIMEOUT,
        log_of=_log_of,
    )


def owner() -> str:
    """The mark of this installation on a cluster: the same in each of its processes, and no other's."""
    text = f"{settings.SECRET_KEY}\0{settings.CAUSEWAY_INSTALLATION}"
    return hashlib.sha256(f"pods\0{text}".encode()).hexdigest()[:16]


def addresses(assignment: Assignment, found: Cluster) -> dict[str, str]:
    """How a pod reaches Causeway, where the cluster's settings say so."""
    if not found.endpoint:
        return {}
    env = {"FLYTE_PLATFORM_URL": found.endpoint, "FLYTE_PLATFORM_INSECURE": "true"}
    if settings.CAUSEWAY_GRPC_AUTH == "token":
        env[TOKEN] = task_tokens.issue(assignment.attempt_id)
        env["FLYTE_CREDENTIALS_AUTH_MODE"] = "externalcommand"
        env["FLYTE_CREDENTIALS_COMMAND"] = f"printenv,{TOKEN}"  # flytekit splits it at the comma
    return env


def keys_of(found: Cluster) -> dict[str, str]:
    """Variables with which pods reach the store."""
    region = {name: os.environ[name] for name in ("AWS_REGION", "AWS_DEFAULT_REGION") if os.environ.get(name)}
    keys = {**region, **store_keys()}
    return {**keys, **({"FLYTE_AWS_ENDPOINT": found.store_endpoint} if found.store_endpoint else {})}


def _log_of(attempt_id: int, handle: str) -> str:
    """Of an attempt that has ended and had that pod. In a thread of the executor."""
    close_old_connections()
    try:
        ended = TaskExecution.objects.filter(pk=attempt_id, handle=handle, executor=KIND, phase__in=ATTEMPT_TERMINAL)
        return str(ended.values_list("log_uri", flat=True).first() or "")
    finally:
        close_old_connections()


def _find_secrets(attempt_id: int, asked: Sequence[Request], *, elsewhere: bool) -> Mounts:
    """In a thread of the executor, whose connection may have been lost since the last time."""
    close_old_connections()
    try:
        return mounts_for(attempt_id, asked, elsewhere=elsewhere)
    finally:
        close_old_connections()
