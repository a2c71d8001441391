"""What is mounted into the task's container: shared memory and secrets."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

from artifacts.exceptions import InvalidArgument
from scheduler.attempts.spec import SharedMemory
from scheduler.executors.kubernetes import names
from scheduler.executors.kubernetes.containers import Surroundings
from scheduler.secrets.names import ENV_VAR, Request

Json = dict[str, Any]
SHARED_MEMORY, SHARED_MEMORY_PATH = "flyte-shared-memory", "/dev/shm"  # noqa: S108 - that is where programs look for it
_OBJECT = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)  # a DNS subdomain
SECRETS, SECRETS_PATH = "causeway-secrets", "/etc/flyte/secrets"  # flytekit's default folder, which commands may say


def share_memory(pod: Json, container: Json, asked: SharedMemory) -> None:
    """An emptyDir in memory, which counts as the container's memory. InvalidArgument where its place is taken."""
    name, path = asked.mount_name or SHARED_MEMORY, asked.mount_path or SHARED_MEMORY_PATH
    if any(volume.get("name") == name for volume in pod.get("volumes") or ()):
        raise InvalidArgument(f"the pod has a volume {name!r} already: shared memory cannot have the same name")
    if any(mount.get("mountPath") == path for mount in container.get("volumeMounts") or ()):
        raise InvalidArgument(f"{path} is mounted already: the pod template and shared_memory both ask for it")
    source = {"medium": "Memory", **({"sizeLimit": asked.size_limit} if asked.size_limit else {})}
    _mount(pod, container, {"name": name, "emptyDir": source}, {"name": name, "mountPath": path})


def mount_secrets(pod: Json, program: Json, secret: str, around: Surroundings) -> None:
    """Secrets of Causeway's own store, from the Secret object of the attempt, and those of the namespace that the task
    names: variables and files as flytekit reads them, in all containers that the task brings, as in Flyte (a sidecar
    that is a proxy needs them). InvalidArgument for a group that can be no object's name.
    """
    env: dict[str, Json] = {name: _key_of(secret, key) for name, key in around.secret_env.items()}
    items: dict[str, list[Json]] = {}
    for path, key in around.secret_files.items():
        items.setdefault(secret, []).append({"key": key, "path": path})
    for name, path in around.secret_paths.items():
        env[name] = {"value": f"{SECRETS_PATH}/{path}"}
    for request in around.elsewhere:
        _of_namespace(request, env, items)
    if items:
        env["FLYTE_SECRETS_DEFAULT_DIR"] = {"value": SECRETS_PATH}
        pod.setdefault("volumes", []).append(_volume(items))
    for container in (*pod["containers"], *(pod.get("initContainers") or ())):
        if str(container.get("name")).startswith(names.OURS):
            continue
        taken = any(one.get("mountPath") == SECRETS_PATH for one in container.get("volumeMounts") or ())
        if items and (container is program or not taken):  # of the program's the cluster says so
            mount = {"name": SECRETS, "mountPath": SECRETS_PATH, "readOnly": True}
            container.setdefault("volumeMounts", []).append(mount)
        if env:
            kept = [entry for entry in container.get("env") or () if entry.get("name") not in env]
            # First, so that the others may quote them as $(NAME)
            container["env"] = [*({"name": name, **copy.deepcopy(value)} for name, value in env.items()), *kept]


def _of_namespace(request: Request, env: dict[str, Json], items: dict[str, list[Json]]) -> None:
    """As Flyte's own injector: the group is the object's name, and a file is the choice where the platform may choose.
    The version is left out, as it does.
    """
    name, group = request.name.without_version(), request.name.group.lower()
    if not _OBJECT.fullmatch(group):
        raise InvalidArgument(
            f"the task asks for the secret {name}, which is not set in Causeway, and {group!r} cannot be the name of a "
            "Secret object of the cluster"
        )
    if request.mount == ENV_VAR:
        env[name.variable] = _key_of(group, name.key)
    else:
        items.setdefault(group, []).append({"key": name.key, "path": name.path})
    if request.env_var:
        as_value = request.mount == ENV_VAR
        env[request.env_var] = _key_of(group, name.key) if as_value else {"value": f"{SECRETS_PATH}/{name.path}"}


def _key_of(secret: str, key: str) -> Json:
    return {"valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def _volume(items: Mapping[str, list[Json]]) -> Json:
    """One folder, whatever objects its files come from."""
    if len(items) == 1:
        ((secret, files),) = items.items()
        return {"name": SECRETS, "secret": {"secretName": secret, "items": files, "defaultMode": 0o444}}
    sources = [{"secret": {"name": secret, "items": files}} for secret, files in items.items()]
    return {"name": SECRETS, "projected": {"sources": sources, "defaultMode": 0o444}}


def _mount(pod: Json, container: Json, volume: Json, mount: Json) -> None:
    pod.setdefault("volumes", []).append(volume)
    container.setdefault("volumeMounts", []).append(mount)
