"""The Secret object that carries an attempt's secrets from Causeway's own store into its pod."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from artifacts.exceptions import InvalidArgument
from scheduler.executors.kubernetes import names
from scheduler.secrets.mounts import Mounts

MOST_BYTES = 1024**2  # Kubernetes takes no larger Secret


def keys_of(mounts: Mounts) -> tuple[dict[str, str], dict[str, str]]:
    """Variables, then files, each with its key in the Secret object."""
    env = {variable: f"env-{number}" for number, variable in enumerate(sorted(mounts.env))}
    return env, {path: f"file-{number}" for number, path in enumerate(sorted(mounts.files))}


def secret_object(mounts: Mounts, pod: str, namespace: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """As JSON. It is made before the pod, and belongs to the pod once that is there (`owned_by`)."""
    env, files = keys_of(mounts)
    values = {key: mounts.env[variable].encode() for variable, key in env.items()}
    values |= {key: mounts.files[path] for path, key in files.items()}
    if sum(map(len, values.values())) > MOST_BYTES:
        raise InvalidArgument(f"the secrets of this task have more than {MOST_BYTES} bytes together")
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": names.secret_name(pod), "namespace": namespace, "labels": dict(labels)},
        "type": "Opaque",
        "immutable": True,
        "data": {key: base64.b64encode(value).decode() for key, value in values.items()},
    }


def store_object(keys: Mapping[str, str], namespace: str, owner: str) -> dict[str, Any]:
    """The Secret object of a namespace with the keys of the store: other keys are another object."""
    digest = hashlib.sha256(json.dumps([owner, sorted(keys.items())]).encode()).hexdigest()[:10]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"causeway-store-{digest}", "namespace": namespace, "labels": {names.OWNER: owner}},
        "type": "Opaque",
        "immutable": True,
        "data": {name: base64.b64encode(value.encode()).decode() for name, value in keys.items()},
    }


def owned_by(pod: Mapping[str, Any]) -> dict[str, Any]:
    """A patch that has the Secret object go when the pod goes, or the job."""
    metadata = pod["metadata"]
    kind = {"apiVersion": pod.get("apiVersion") or "v1", "kind": pod.get("kind") or "Pod"}
    owner = {**kind, "name": metadata["name"], "uid": metadata["uid"]}
    return {"metadata": {"ownerReferences": [owner]}}
