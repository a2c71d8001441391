"""A kubeconfig for tests: whole, or with something in it that a text may not have."""

from __future__ import annotations

from typing import Any

import yaml

TOKEN = "t0ken-of-the-cluster"
NOBODY = "http://127.0.0.1:1"  # nothing listens there


def kubeconfig(server: str = NOBODY, *, user: Any = None, cluster: Any = None, current: str = "here") -> str:
    given = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server, **(cluster or {})}}],
        "users": [{"name": "u", "user": {"token": TOKEN} if user is None else user}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        **({"current-context": current} if current else {}),
    }
    return yaml.safe_dump(given)
