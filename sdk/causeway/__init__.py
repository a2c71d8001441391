"""Causeway's SDK: plain flytekit plus the few things it lacks for artifacts, and a client for any Python program.

from flytekit import LaunchPlan
from causeway import Artifact, Metrics, ModelCard, OnArtifact

Nothing is imported before it is used, and only `Artifact`, `Inputs`, `OnAlias` and `OnArtifact` need flytekit.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from causeway.artifacts import Artifact, Inputs
    from causeway.cards import DataCard, ModelCard
    from causeway.client import CausewayError, Client, Version
    from causeway.connections import connection, connection_secret
    from causeway.deciding import approvals
    from causeway.facts import Attributes, Check, Metrics
    from causeway.governance import report_check
    from causeway.mounts import mounted
    from causeway.queries import start_of
    from causeway.reusing import reuse
    from causeway.triggers import AllOf, AnyOf, OnAlias, OnArtifact

__all__ = [
    "AllOf",
    "AnyOf",
    "Artifact",
    "Attributes",
    "CausewayError",
    "Check",
    "Client",
    "DataCard",
    "Inputs",
    "Metrics",
    "ModelCard",
    "OnAlias",
    "OnArtifact",
    "Version",
    "approvals",
    "connection",
    "connection_secret",
    "report_check",
    "mounted",
    "reuse",
    "start_of",
]

_MODULES = {
    "AllOf": "triggers",
    "AnyOf": "triggers",
    "Artifact": "artifacts",
    "Inputs": "artifacts",
    "Attributes": "facts",
    "Check": "facts",
    "Metrics": "facts",
    "CausewayError": "client",
    "Client": "client",
    "Version": "client",
    "connection": "connections",
    "connection_secret": "connections",
    "DataCard": "cards",
    "mounted": "mounts",
    "ModelCard": "cards",
    "OnAlias": "triggers",
    "OnArtifact": "triggers",
    "approvals": "deciding",
    "report_check": "governance",
    "reuse": "reusing",
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
