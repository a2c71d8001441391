"""Causeway's SDK: plain flytekit plus the few things it lacks for artifacts, and a client for any Python program.

from flytekit import LaunchPlan
from causeway import Artifact, Metrics, ModelCard, OnArtifact

Nothing is imported before it is used, and only `Artifact`, `Inputs` and `OnArtifact` need flytekit.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from causeway.artifacts import Artifact, Inputs
    from causeway.cards import DataCard, ModelCard
    from causeway.client import CausewayError, Client, Version
    from causeway.connections import connection, connection_secret
    from causeway.facts import Attributes, Metrics
    from causeway.mounts import mounted
    from causeway.queries import start_of
    from causeway.triggers import AllOf, AnyOf, OnArtifact

__all__ = [
    "AllOf",
    "AnyOf",
    "Artifact",
    "Attributes",
    "CausewayError",
    "Client",
    "DataCard",
    "Inputs",
    "Metrics",
    "ModelCard",
    "OnArtifact",
    "Version",
    "connection",
    "connection_secret",
    "mounted",
    "start_of",
]

_MODULES = {
    "AllOf": "triggers",
    "AnyOf": "triggers",
    "Artifact": "artifacts",
    "Inputs": "artifacts",
    "Attributes": "facts",
    "Metrics": "facts",
    "CausewayError": "client",
    "Client": "client",
    "Version": "client",
    "connection": "connections",
    "connection_secret": "connections",
    "DataCard": "cards",
    "mounted": "mounts",
    "ModelCard": "cards",
    "OnArtifact": "triggers",
    "start_of": "queries",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'causeway' has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"causeway.{_MODULES[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("flytekit", "flyteidl"):
            raise
        raise ModuleNotFoundError(f"causeway.{name} needs flytekit: pip install flytekit", name=error.name) from error


def __dir__() -> list[str]:
    return sorted(__all__)
