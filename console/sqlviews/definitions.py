"""The views of the schema `causeway`: their columns are a contract, kept by tests/console/test_sql_views.py.

Which rows of them somebody sees is said of the tables (`policies`). Columns are SQL over the FROM beside them:
constants, as no user's text gets in here.
"""

from __future__ import annotations

from django.db import models

from artifacts.models import Granularity
from console.sqlviews.columns import (
    BIG,
    BOOL,
    FLOAT,
    IF_NOT_EMPTY,
    INT,
    JSON,
    TEXT,
    TIME,
    Column,
    View,
    key_of,
    where_of,
)
from console.sqlviews.decisions import DECISIONS
from scheduler.models import ExecutionMode
from scheduler.phases import AttemptPhase, ExecutionPhase, NodePhase


def _word(column: str, choices: type[models.IntegerChoices]) -> str:
    cases = " ".join(f"WHEN {choice.value} THEN '{choice.name}'" for choice in choices)
    return f"CASE {column} {cases} END"


def _error_code(column: str) -> str:
    """core.ExecutionError begins with its code, whose length is one byte."""
    return (
        f"CASE WHEN length({column}) > 2 AND get_byte({column}, 0) = 10 AND get_byte({column}, 1) BETWEEN 1 AND 127"
        f" THEN encode(substring({column} FROM 3 FOR get_byte({column}, 1)), 'escape') END"
    )


_ARTIFACT = (*where_of("a"), Column("artifact", TEXT, "a.name::text", "The artifact's name."))
_RUN = (
    Column("execution_id", BIG, "e.id", "executions.id"),
    Column("execution_key", TEXT, key_of("e"), "executions.key"),
    *where_of("e"),
)
_PLAN = (*where_of("lp"), Column("launch_plan", TEXT, "lp.name::text", "Name of the launch plan."))


def _times(row: str, *names: str) -> tuple[Column, ...]:
    said = {
        "created_at": "When it was made.",
        "started_at": "When it began to run.",
        "ended_at": "When it ended; null: it has not.",
        "updated_at": "When it last changed.",
    }
    return tuple(Column(name, TIME, f"{row}.{name}", said[name]) for name in names)


VIEWS: tuple[View, ...] = (
    View(
        "artifacts",
        "Names that versions are published under.",
        "artifacts_artifact a",
        (
            Column("id", BIG, "a.id", "Key."),
            *_ARTIFACT,
            Column("kind", TEXT, "a.kind::text", "model, dataset, file, directory, value or other."),
            Column("description", TEXT, "a.description", "What people say about it."),
            Column("partition_keys", "text[]", "a.partition_keys::text[]", "Keys that every version has values of."),
            Column("granularity", TEXT, _word("a.granularity", Granularity), "Of its time partition; UNSET: none."),
            *_times("a", "created_at"),
        ),
    ),
    View(
        "versions",
        "Publications of artifacts: what, where its data lies, who made it.",
        "artifacts_artifactversion v JOIN artifacts_artifact a ON a.id = v.artifact_id",
        (
            Column("id", BIG, "v.id", "Key."),
            Column("artifact_id", BIG, "v.artifact_id", "artifacts.id"),
            *_ARTIFACT,
            Column("version", TEXT, "v.version::text", "Its name, unique in the artifact."),
            Column("kind", TEXT, "v.kind::text", "As artifacts.kind."),
            Column("partitions", JSON, "v.partitions", "Values by partition key."),
            Column("time_partition", TIME, "v.time_partition", "Beginning of its period; null: none."),
            Column("uri", TEXT, IF_NOT_EMPTY.format("v.uri"), "Where the data lies; null: a value kept inline."),
            Column("size_bytes", BIG, "v.size_bytes", "Size of the data, where it is known."),
            Column("content_hash", TEXT, IF_NOT_EMPTY.format("v.content_hash"), "Of the data, where it is known."),
            Column(
                "execution_key",
                TEXT,
                "CASE WHEN v.execution_key = '' THEN NULL"
                # most are of the version's own place, and asking of others takes longer than all the rest
                " WHEN split_part(v.execution_key, '/', 1) = a.project"
                " AND split_part(v.execution_key, '/', 2) = a.domain"
                " THEN v.execution_key::text WHEN {visible_execution} THEN v.execution_key::text END",
                "executions.key of what made it; null: it came from outside, or from a project you do not see.",
            ),
            Column("created_by", TEXT, IF_NOT_EMPTY.format("v.created_by"), "Who published it from outside."),
            Column("metrics", JSON, "v.metrics", "Numbers by name; as rows in metrics."),
            Column("metadata", JSON, "v.metadata", "Texts by name."),
            *_times("v", "created_at"),
            Column("removed_at", TIME, "v.removed_at", "When its data was removed; null: it is there."),
            Column("is_shadow", BOOL, "v.is_shadow", "Whether a run beside production published it."),
        ),
    ),
    View(
        "partitions",
        "Combinations of partition values that an artifact was published under.",
        "artifacts_partition p JOIN artifacts_artifact a ON a.id = p.artifact_id",
        (
            Column("id", BIG, "p.id", "Key."),
            Column("artifact_id", BIG, "p.artifact_id", "artifacts.id"),
            *_ARTIFACT,
            Column("partitions", JSON, 'p."values"', "Values by partition key; as versions.partitions."),
        ),
    ),
    View(
        "metrics",
        "Numbers of versions, one a row.",
        "artifacts_metric m JOIN artifacts_artifactversion v ON v.id = m.version_id"
        " JOIN artifacts_artifact a ON a.id = v.artifact_id",
        (
            Column("id", BIG, "m.id", "Key."),
            Column("version_id", BIG, "m.version_id", "versions.id"),
            *_ARTIFACT,
            Column("metric", TEXT, "m.name::text", "Its name."),
            Column("value", FLOAT, "m.value", "The number."),
        ),
    ),
    View(
        "aliases",
        "Movable names of versions, as they are now.",
        "artifacts_alias al JOIN artifacts_artifact a ON a.id = al.artifact_id",
        (
            Column("id", BIG, "al.id", "Key."),
            Column("artifact_id", BIG, "al.artifact_id", "artifacts.id"),
            *_ARTIFACT,
            Column("alias", TEXT, "al.name::text", "Its name."),
            Column("version_id", BIG, "al.version_id", "versions.id"),
            Column("moved_at", TIME, "al.moved_at", "Since when it names that one."),
            Column("partitions", JSON, "al.partitions", "Of the versions that it is for; empty: it is kept for all."),
        ),
    ),
    View(
        "alias_moves",
        "What aliases named before.",
        "artifacts_aliasmove al JOIN artifacts_artifact a ON a.id = al.artifact_id",
        (
            Column("id", BIG, "al.id", "Key."),
            Column("artifact_id", BIG, "al.artifact_id", "artifacts.id"),
            *_ARTIFACT,
            Column("alias", TEXT, "al.name::text", "Its name."),
            Column("from_version_id", BIG, "al.from_version_id", "versions.id; null: it was new."),
            Column("to_version_id", BIG, "al.to_version_id", "versions.id; null: it was taken away."),
            Column("at", TIME, "al.at", "When."),
            Column("actor", TEXT, "al.actor::text", "Who."),
            Column("reason", TEXT, IF_NOT_EMPTY.format("al.reason"), "Why, if it was said."),
            Column("partitions", JSON, "al.partitions", "Of the pointer that moved; empty: it is kept for all."),
        ),
    ),
    View(
        "edges",
        "Lineage: a version was produced or consumed by an execution.",
        "lineage_versionedge l JOIN artifacts_artifactversion v ON v.id = l.version_id"
        " JOIN artifacts_artifact a ON a.id = v.artifact_id",
        (
            Column("id", BIG, "l.id", "Key."),
            Column("version_id", BIG, "l.version_id", "versions.id"),
            *_ARTIFACT,
            Column("execution_key", TEXT, "l.execution_key::text", "executions.key"),
            Column("node_id", TEXT, IF_NOT_EMPTY.format("l.node_id"), "nodes.node_id; null: the execution's own."),
            Column("attempt", INT, "l.attempt", "Which try."),
            Column("variable", TEXT, IF_NOT_EMPTY.format("l.variable"), "The input or output."),
            Column("role", TEXT, "l.role::text", "produced or consumed."),
            Column("via", TEXT, "l.via::text", "How it came there: output, trigger, query, override, literal, fetch."),
            Column("at", TIME, "l.at", "When."),
        ),
    ),
    View(
        "derivations",
        "A version was made of another.",
        "lineage_derivation d",
        (
            Column("id", BIG, "d.id", "Key."),
            Column("source_id", BIG, "d.source_id", "versions.id of what it was made of."),
            Column("target_id", BIG, "d.target_id", "versions.id of what was made."),
        ),
    ),
    View(
        "executions",
        "Runs of launch plans.",
        "scheduler_execution e LEFT JOIN scheduler_launchplan lp ON lp.id = e.launch_plan_id",
        (
            Column("id", BIG, "e.id", "Key."),
            Column("key", TEXT, key_of("e"), "project/domain/name: how versions and edges name it; indexed."),
            *where_of("e"),
            Column("name", TEXT, "e.name::text", "Its name in the project and domain."),
            Column("launch_plan", TEXT, "lp.name::text", "Name of its launch plan; null: a single task."),
            Column("launch_plan_version", TEXT, "lp.version::text", "Version of its launch plan."),
            Column("phase", TEXT, _word("e.phase", ExecutionPhase), "QUEUED, RUNNING, SUCCEEDED, FAILED and so on."),
            Column("mode", TEXT, _word("e.mode", ExecutionMode), "MANUAL, SCHEDULED, TRIGGER, CHILD_WORKFLOW ..."),
            Column("principal", TEXT, IF_NOT_EMPTY.format("e.principal"), "By whose name it was launched."),
            Column("error_code", TEXT, _error_code("e.error"), "Of one that failed."),
            Column("abort_cause", TEXT, IF_NOT_EMPTY.format("e.abort_cause"), "Of one that was aborted."),
            Column("tags", "text[]", "e.tags", "Labels and tags."),
            Column("archived", BOOL, "e.archived", "Whether lists leave it out."),
            *_times("e", "created_at", "started_at", "ended_at", "updated_at"),
            Column("contest_id", BIG, "e.shadow_id", "contests.id, of a run beside production; null: it is none."),
        ),
    ),
    View(
        "nodes",
        "Nodes of executions.",
        "scheduler_nodeexecution n JOIN scheduler_execution e ON e.id = n.execution_id",
        (
            Column("id", BIG, "n.id", "Key."),
            *_RUN,
            Column("node_id", TEXT, "n.node_id::text", "Unique in the execution."),
            Column("kind", TEXT, "n.kind::text", "task, workflow, launch_plan, branch, gate, array, start or end."),
            Column("phase", TEXT, _word("n.phase", NodePhase), "QUEUED, RUNNING, SUCCEEDED, FAILED and so on."),
            Column("attempts", INT, "n.attempts", "How often it was tried."),
            Column("error_code", TEXT, _error_code("n.error"), "Of one that failed."),
            *_times("n", "created_at", "started_at", "ended_at"),
        ),
    ),
    View(
        "attempts",
        "Tries to run a task, and items of maps.",
        "scheduler_taskexecution t JOIN scheduler_nodeexecution n ON n.id = t.node_id"
        " JOIN scheduler_execution e ON e.id = n.execution_id",
        (
            Column("id", BIG, "t.id", "Key."),
            Column("node", BIG, "t.node_id", "nodes.id"),
            *_RUN,
            Column("node_id", TEXT, "n.node_id::text", "nodes.node_id"),
            Column("attempt", INT, "t.attempt", "Which try, from 0."),
            Column("item", INT, "NULLIF(t.index, -1)", "Of a map; null: not a map."),
            Column("phase", TEXT, _word("t.phase", AttemptPhase), "QUEUED, RUNNING, SUCCEEDED, FAILED and so on."),
            Column("executor", TEXT, "t.executor::text", "local or kubernetes."),
            Column("cluster", TEXT, IF_NOT_EMPTY.format("t.cluster"), "Where it ran, of several."),
            Column("reason", TEXT, IF_NOT_EMPTY.format("t.reason"), "What it waits for, or why it ended."),
            Column("error_code", TEXT, _error_code("t.error"), "Of one that failed."),
            Column("cpu", FLOAT, "(t.resources ->> 'cpu')::float8", "Cores it asked for."),
            Column("memory_bytes", FLOAT, "(t.resources ->> 'memory')::float8", "Memory it asked for."),
            Column("gpu", FLOAT, "(t.resources ->> 'gpu')::float8", "GPUs it asked for."),
            *_times("t", "created_at", "started_at", "ended_at"),
        ),
    ),
    View(
        "approvals",
        "Gates: what waits for a person or a signal, and what was decided.",
        "scheduler_gate g JOIN scheduler_execution e ON e.id = g.execution_id",
        (
            Column("id", BIG, "g.id", "Key."),
            *_RUN,
            Column("signal_id", TEXT, "g.signal_id::text", "Its name in the execution."),
            Column("kind", TEXT, "g.kind::text", "approve, signal or sleep."),
            Column("waiting_since", TIME, "g.waiting_since", "Null: not reached yet."),
            Column("expires_at", TIME, "g.expires_at", "When it gives up."),
            Column("decided_at", TIME, "g.decided_at", "Null: it is not decided."),
            Column("decided_by", TEXT, IF_NOT_EMPTY.format("g.decided_by"), "Who decided."),
            Column("comment", TEXT, IF_NOT_EMPTY.format("g.comment"), "What they said."),
        ),
    ),
    View(
        "triggers",
        "Launch plans that run when a version is published.",
        "scheduler_trigger tr JOIN scheduler_launchplan lp ON lp.id = tr.launch_plan_id",
        (
            Column("id", BIG, "tr.id", "Key."),
            *_PLAN,
            Column("launch_plan_version", TEXT, "lp.version::text", "Its version."),
            Column("mode", TEXT, "tr.mode::text", "any: each version fires; all: one of each artifact."),
            Column("active", BOOL, "tr.active", "Whether its launch plan is."),
            Column("activated_at", TIME, "tr.activated_at", "Versions from then on fire."),
            Column("activated_by", TEXT, IF_NOT_EMPTY.format("tr.activated_by"), "By whose name it launches."),
            Column("paused_at", TIME, "tr.paused_at", "Null: it is not paused."),
        ),
    ),
    View(
        "trigger_sources",
        "Artifacts that a trigger watches.",
        "scheduler_triggersource ts JOIN scheduler_trigger tr ON tr.id = ts.trigger_id"
        " JOIN scheduler_launchplan lp ON lp.id = tr.launch_plan_id",
        (
            Column("id", BIG, "ts.id", "Key."),
            Column("trigger_id", BIG, "ts.trigger_id", "triggers.id"),
            *where_of("ts"),
            Column("artifact", TEXT, "ts.name::text", "The artifact's name."),
            Column("partitions", JSON, "ts.partitions", "Only versions with these values; empty: any."),
        ),
    ),
    View(
        "firings",
        "What came of each version at each trigger.",
        "scheduler_triggerfiring f JOIN scheduler_trigger tr ON tr.id = f.trigger_id"
        " JOIN scheduler_launchplan lp ON lp.id = tr.launch_plan_id"
        " LEFT JOIN scheduler_execution e ON e.id = f.execution_id",
        (
            Column("id", BIG, "f.id", "Key."),
            Column("trigger_id", BIG, "f.trigger_id", "triggers.id"),
            *_PLAN,
            Column("version_id", BIG, "f.version_id", "versions.id"),
            Column("outcome", TEXT, "f.outcome::text", "fired, waiting, filtered, skipped, failed and so on."),
            Column("reason", TEXT, IF_NOT_EMPTY.format("f.reason"), "Why."),
            Column("execution_id", BIG, "f.execution_id", "executions.id of what it launched."),
            Column("execution_key", TEXT, key_of("e"), "executions.key of what it launched."),
            Column("published_at", TIME, "f.published_at", "When the version was."),
            Column("at", TIME, "f.at", "When it came to this outcome."),
            Column("latency_ms", FLOAT, "f.latency_ms", "From publication to launch."),
            Column("tries", INT, "f.tries", "How often it was tried."),
        ),
    ),
    View(
        "schedules",
        "Launch plans that run by the clock.",
        "scheduler_schedule s JOIN scheduler_launchplan lp ON lp.id = s.launch_plan_id",
        (
            Column("id", BIG, "s.id", "Key."),
            *_PLAN,
            Column("launch_plan_version", TEXT, "lp.version::text", "Its version."),
            Column("kind", TEXT, "s.kind::text", "cron or rate."),
            Column("expression", TEXT, "s.expression::text", "A cron line, or seconds."),
            Column("active", BOOL, "s.active", "Whether its launch plan is."),
            Column("paused_at", TIME, "s.paused_at", "Null: it is not paused."),
            Column("last_fire_at", TIME, "s.last_fire_at", "Nominal time of the last run."),
            Column("next_fire_at", TIME, "s.next_fire_at", "When it is due next."),
        ),
    ),
    View(
        "schedule_fires",
        "Times that a schedule was due and what came of it.",
        "scheduler_schedulefire sf JOIN scheduler_schedule s ON s.id = sf.schedule_id"
        " JOIN scheduler_launchplan lp ON lp.id = s.launch_plan_id"
        " LEFT JOIN scheduler_execution e ON e.id = sf.execution_id",
        (
            Column("id", BIG, "sf.id", "Key."),
            Column("schedule_id", BIG, "sf.schedule_id", "schedules.id"),
            *_PLAN,
            Column("fire_at", TIME, "sf.fire_at", "The nominal time."),
            Column("execution_id", BIG, "sf.execution_id", "executions.id; null: the launch was refused."),
            Column("execution_key", TEXT, key_of("e"), "executions.key"),
            Column("error", TEXT, IF_NOT_EMPTY.format("sf.error"), "Why it was refused."),
        ),
    ),
    View(
        "usage",
        "What attempts asked for times the seconds that they ran, by hour; hours that are over.",
        "scheduler_usagehour u JOIN scheduler_lane l ON l.id = u.lane",
        (
            Column("hour", TIME, "u.hour", "Its beginning."),
            *where_of("l"),
            Column("principal", TEXT, IF_NOT_EMPTY.format("l.user"), "By whose name it was launched."),
            Column("launch_plan", TEXT, IF_NOT_EMPTY.format("l.launch_plan"), "Name of the launch plan."),
            Column("attempts", INT, "u.attempts", "That ran in that hour."),
            Column("seconds", FLOAT, "u.seconds", "That they ran, all together."),
            Column("core_seconds", FLOAT, "u.seconds * (l.demand ->> 'cpu')::float8", "Cores times seconds."),
            Column("memory_byte_seconds", FLOAT, "u.seconds * (l.demand ->> 'memory')::float8", "Bytes times seconds."),
            Column("gpu_seconds", FLOAT, "u.seconds * (l.demand ->> 'nvidia.com/gpu')::float8", "GPUs times seconds."),
        ),
    ),
    *DECISIONS,
)
