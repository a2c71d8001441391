"""Which runs of members there are, on which versions of the dataset, and what they published: asked of the rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.db import connection

from scheduler.models import Contest

# Runs that took a version in: as an input, or because it fired them. Runs beside production do not count.
_ON = """
    WITH run AS NOT MATERIALIZED (
        SELECT run.id, plan.name AS member, run.project, run.domain, run.name
        FROM scheduler_execution AS run JOIN scheduler_launchplan AS plan ON plan.id = run.launch_plan_id
        WHERE plan.project = %(project)s AND plan.domain = %(domain)s AND plan.name = ANY(%(members)s)
          AND run.shadow_id IS NULL
    )
    SELECT edge.version_id, run.id, run.member
    FROM lineage_versionedge AS edge
    JOIN run ON edge.execution_key = run.project || '/' || run.domain || '/' || run.name
        AND run.project = split_part(edge.execution_key, '/', 1) AND run.domain = split_part(edge.execution_key, '/', 2)
        AND run.name = split_part(edge.execution_key, '/', 3)
    JOIN artifacts_artifactversion AS version ON version.id = edge.version_id
    JOIN artifacts_artifact AS dataset ON dataset.id = version.artifact_id
    WHERE edge.role = 'consumed' AND edge.node_id = '' AND {which}
      AND dataset.name = %(dataset_name)s
      AND dataset.project = %(dataset_project)s AND dataset.domain = %(dataset_domain)s
    UNION
    SELECT firing.version_id, run.id, run.member
    FROM scheduler_triggerfiring AS firing JOIN run ON run.id = firing.execution_id
    JOIN artifacts_artifactversion AS version ON version.id = firing.version_id
    JOIN artifacts_artifact AS dataset ON dataset.id = version.artifact_id
    WHERE {which}
      AND dataset.name = %(dataset_name)s
      AND dataset.project = %(dataset_project)s AND dataset.domain = %(dataset_domain)s
"""
_ON_VERSIONS = _ON.format(which="version.id = ANY(%(ids)s)")
_OF_RUNS = _ON.format(which="run.id = ANY(%(ids)s)")

# The run of a member that published a version itself, or by what it launched.
_MAKERS = """
    WITH RECURSIVE maker(version_id, id, parent_node_id, depth) AS (
        SELECT version.id, made.id, made.parent_node_id, 0
        FROM artifacts_artifactversion AS version
        JOIN scheduler_execution AS made ON made.project = split_part(version.execution_key, '/', 1)
            AND made.domain = split_part(version.execution_key, '/', 2)
            AND made.name = split_part(version.execution_key, '/', 3)
        WHERE version.id = ANY(%(ids)s) AND version.execution_key <> ''
        UNION ALL
        SELECT maker.version_id, parent.id, parent.parent_node_id, maker.depth + 1
        FROM maker JOIN scheduler_nodeexecution AS node ON node.id = maker.parent_node_id
        JOIN scheduler_execution AS parent ON parent.id = node.execution_id
        WHERE maker.depth < 20
    )
    SELECT maker.version_id, maker.id, plan.name
    FROM maker JOIN scheduler_execution AS run ON run.id = maker.id
    JOIN scheduler_launchplan AS plan ON plan.id = run.launch_plan_id
    WHERE plan.project = %(project)s AND plan.domain = %(domain)s AND plan.name = ANY(%(members)s)
      AND run.shadow_id IS NULL
    ORDER BY maker.depth DESC
"""


def _asked(sql: str, contest: Contest, ids: Collection[int]) -> list[tuple[int, int, str]]:
    parameters: dict[str, Any] = {
        "project": contest.project,
        "domain": contest.domain,
        "members": list(contest.members),
        "dataset_project": contest.dataset_project,
        "dataset_domain": contest.dataset_domain,
        "dataset_name": contest.dataset_name,
        "ids": list(ids),
    }
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def runs_on(contest: Contest, versions: Collection[int]) -> list[tuple[int, int, str]]:
    """(version of the dataset, run, member), of these versions."""
    return _asked(_ON_VERSIONS, contest, versions) if versions else []


def datasets_of(contest: Contest, runs: Collection[int]) -> dict[int, list[int]]:
    """The versions of the dataset that each of the runs took in."""
    found: dict[int, list[int]] = {}
    for version, run, _ in _asked(_OF_RUNS, contest, runs) if runs else ():
        found.setdefault(run, []).append(version)
    return found


def makers_of(contest: Contest, versions: Collection[int]) -> Mapping[int, tuple[int, str]]:
    """The run, and its member, that published each of the versions of the model; of those that a member published."""
    return {version: (run, member) for version, run, member in _asked(_MAKERS, contest, versions)} if versions else {}
