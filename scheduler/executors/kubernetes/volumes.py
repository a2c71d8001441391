"""What is mounted into the task's container: shared memory and secrets."""

from __future__ import annotations

from typing import Any

from artifacts.exceptions import InvalidArgument
from scheduler.attempts.spec import SharedMemory
from scheduler.executors.kubernetes.containers import Surroundings

Json = dict[str, Any]
SHARED_MEMORY, SHARED_MEMORY_PATH = "flyte-shared-memory", "/dev/shm"  # noqa: S108 - that is where programs look for it
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


def mount_secrets(pod: Json, container: Json, secret: str, around: Surroundings) -> None:
    """Secrets of Causeway's own store, from the Secret object of the attempt: variables and files as flytekit reads."""
    if not around.has_secrets:
        return
    env = [entry for entry in container["env"] if entry["name"] not in {*around.secret_env, *around.secret_paths}]
    for variable, key in around.secret_env.items():
        env.append({"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}})
    if around.secret_files:
        env = [entry for entry in env if entry["name"] != "FLYTE_SECRETS_DEFAULT_DIR"]
        env.append({"name": "FLYTE_SECRETS_DEFAULT_DIR", "value": SECRETS_PATH})
        env += [{"name": name, "value": f"{SECRETS_PATH}/{path}"} for name, path in around.secret_paths.items()]
        items = [{"key": key, "path": path} for path, key in around.secret_files.items()]
        volume = {"name": SECRETS, "secret": {"secretName": secret, "items": items, "defaultMode": 0o444}}
        _mount(pod, container, volume, {"name": SECRETS, "mountPath": SECRETS_PATH, "readOnly": True})
    container["env"] = env


def _mount(pod: Json, container: Json, volume: Json, mount: Json) -> None:
    pod.setdefault("volumes", []).append(volume)
    container.setdefault("volumeMounts", []).append(mount)
