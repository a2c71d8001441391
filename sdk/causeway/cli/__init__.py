"""The command `causeway`: one module for each group of commands, which add themselves to `main` when imported."""

from __future__ import annotations

from causeway.cli import (
    aliases,
    approvals,
    artifacts,
    clusters,
    completion,
    connectors,
    executions,
    governance,
    hooks,
    hub,
    identity,
    launches,
    lineage,
    projects,
    quotas,
    readers,
    retention,
    schedules,
    secrets,
    sql,
    triggers,
)
from causeway.cli.root import main

__all__ = [
    "aliases",
    "approvals",
    "artifacts",
    "clusters",
    "completion",
    "connectors",
    "executions",
    "governance",
    "hooks",
    "hub",
    "identity",
    "launches",
    "lineage",
    "main",
    "projects",
    "quotas",
    "readers",
    "retention",
    "schedules",
    "secrets",
    "sql",
    "triggers",
]
