"""The views of decisions, promotions, holds and service levels; a contract like those of `definitions`."""

from __future__ import annotations

from console.sqlviews.columns import (
    BIG,
    BOOL,
    FLOAT,
    IF_NOT_EMPTY,
    JSON,
    TEXT,
    TIME,
    Column,
    View,
    key_of,
    where_of,
)

_DECIDED = (
    "scheduler_decision d LEFT JOIN scheduler_gate g ON g.id = d.gate_id"
    " LEFT JOIN scheduler_execution e ON e.id = g.execution_id LEFT JOIN scheduler_promotion p ON p.id = d.promotion_id"
)
_VOTED = (
    "scheduler_gatevote d LEFT JOIN scheduler_gate g ON g.id = d.gate_id"
    " LEFT JOIN scheduler_execution e ON e.id = g.execution_id LEFT JOIN scheduler_promotion p ON p.id = d.promotion_id"
)
_PLACE = ("COALESCE(e.project, p.project)", "COALESCE(e.domain, p.domain)")
_ABOUT = (
    Column("approval_id", BIG, "d.gate_id", "approvals.id; null: it is about a promotion."),
    Column("promotion_id", BIG, "d.promotion_id", "promotions.id; null: it is about an approval."),
    Column("project", TEXT, f"{_PLACE[0]}::text", "The project it was decided in."),
    Column("domain", TEXT, f"{_PLACE[1]}::text", "The domain it was decided in."),
    Column("execution_key", TEXT, f"CASE WHEN e.id IS NOT NULL THEN {key_of('e')} END", "executions.key"),
)

DECISIONS: tuple[View, ...] = (
    View(
        "decisions",
        "What came of votes about approvals and promotions, and whether it still counts.",
        _DECIDED,
        (
            Column("id", BIG, "d.id", "Key."),
            *_ABOUT,
            Column("approved", BOOL, "d.approved", "False: it was rejected."),
            Column("at", TIME, "d.at", "When."),
            Column("rule", JSON, "d.rule", "The rule it stood on."),
            Column("votes", JSON, "d.votes", "As they were counted."),
            Column("digest", TEXT, "d.digest::text", "SHA-256 of what was reviewed."),
            Column("voided_at", TIME, "d.voided_at", "Since when it does not count; null: it does."),
            Column("void_reason", TEXT, IF_NOT_EMPTY.format("d.void_reason"), "What changed."),
        ),
    ),
    View(
        "votes",
        "What each person said about an approval or a promotion.",
        _VOTED,
        (
            Column("id", BIG, "d.id", "Key."),
            *_ABOUT,
            Column("actor", TEXT, "d.actor::text", "Who."),
            Column("acting_for", TEXT, "d.acting_for::text", "In whose seat; himself, unless it was delegated."),
            Column("approve", BOOL, "d.approve", "False: he rejected."),
            Column("comment", TEXT, IF_NOT_EMPTY.format("d.comment"), "What he said."),
            Column("at", TIME, "d.at", "When."),
            Column("voided_at", TIME, "d.voided_at", "Since when it does not count; null: it does."),
        ),
    ),
    View(
        "promotions",
        "Versions that go to another domain or project by reference.",
        "scheduler_promotion p",
        (
            Column("id", BIG, "p.id", "Key."),
            *where_of("p"),
            Column("artifact", TEXT, "p.name::text", "Its name there."),
            Column("source_id", BIG, "p.source_id", "versions.id of where it came from."),
            Column("target_id", BIG, "p.target_id", "versions.id of what it became; null: it did not."),
            Column("state", TEXT, "p.state::text", "requested, promoted or rejected."),
            Column("alias", TEXT, IF_NOT_EMPTY.format("p.alias"), "That was moved to it there."),
            Column("reason", TEXT, IF_NOT_EMPTY.format("p.reason"), "Why."),
            Column("requested_by", TEXT, "p.requested_by::text", "Who asked for it."),
            Column("requested_at", TIME, "p.requested_at", "When."),
            Column("ended_at", TIME, "p.ended_at", "When it was carried out or rejected."),
        ),
    ),
    View(
        "holds",
        "Legal holds and pins that keep versions.",
        "artifacts_hold h JOIN artifacts_artifact a ON a.id = h.artifact_id",
        (
            Column("id", BIG, "h.id", "Key."),
            *where_of("a"),
            Column("artifact", TEXT, "a.name::text", "The artifact's name."),
            Column("version_id", BIG, "h.version_id", "versions.id; null: every version of the artifact."),
            Column("kind", TEXT, "h.kind::text", "legal or pin."),
            Column("reason", TEXT, "h.reason", "Why."),
            Column("set_by", TEXT, "h.set_by::text", "Who set it."),
            Column("set_at", TIME, "h.set_at", "When."),
            Column("released_at", TIME, "h.released_at", "When it was released; null: it holds."),
            Column("released_by", TEXT, IF_NOT_EMPTY.format("h.released_by"), "Who released it."),
        ),
    ),
    View(
        "contests",
        "Launch plans that train on the same dataset, for an alias of the model that they publish.",
        "scheduler_contest c",
        (
            Column("id", BIG, "c.id", "Key."),
            *where_of("c"),
            Column("model", TEXT, "c.model::text", "The artifact that the members publish."),
            Column("alias", TEXT, "c.alias::text", "That names the champion."),
            Column("dataset_project", TEXT, "c.dataset_project::text", "Where the dataset lies that they train on."),
            Column("dataset_domain", TEXT, "c.dataset_domain::text", "Its domain."),
            Column("dataset", TEXT, "c.dataset_name::text", "Its name."),
            Column("members", "text[]", "c.members::text[]", "Names of launch plans."),
            Column("metric", TEXT, "c.metric::text", "By which their models are compared."),
            Column("better", TEXT, "c.better::text", "more or less."),
            Column("shadow_plan", TEXT, IF_NOT_EMPTY.format("c.shadow_plan"), "Runs with challengers too."),
            Column("set_by", TEXT, "c.set_by::text", "Who set it last."),
            Column("set_at", TIME, "c.set_at", "When."),
            Column("removed_at", TIME, "c.removed_at", "When it was ended; null: it goes on."),
        ),
    ),
    View(
        "service_levels",
        "What was promised of artifacts and launch plans.",
        "scheduler_servicelevel s",
        (
            Column("id", BIG, "s.id", "Key."),
            *where_of("s"),
            Column("kind", TEXT, "s.kind::text", "new_by, fresh, ends_within or p95_within."),
            Column("name", TEXT, "s.name::text", "Of the artifact, or of the launch plan."),
            Column("partitions", JSON, "s.partitions", "Only versions with these values."),
            Column("time", TEXT, IF_NOT_EMPTY.format("s.time"), "Of new_by: HH:MM."),
            Column("zone", TEXT, IF_NOT_EMPTY.format("s.zone"), "Whose clocks show it."),
            Column("seconds", FLOAT, "s.seconds", "Of the others: at most so old, or long."),
            Column("set_at", TIME, "s.set_at", "Since when it is looked at."),
            Column("removed_at", TIME, "s.removed_at", "Until when; null: it is."),
        ),
    ),
    View(
        "level_outcomes",
        "Whether service levels were kept: by deadline, execution, day; of fresh, spans of being too old.",
        "scheduler_leveloutcome o JOIN scheduler_servicelevel s ON s.id = o.level_id",
        (
            Column("id", BIG, "o.id", "Key."),
            Column("level_id", BIG, "o.level_id", "service_levels.id"),
            *where_of("s"),
            Column("met", BOOL, "o.met", "Whether it was kept."),
            Column("at", TIME, "o.at", "When it was due, or became too late."),
            Column("until", TIME, "o.until", "Of a span: its end; null: it lasts."),
            Column("value", FLOAT, "o.value", "Seconds it took, or was old."),
            Column("subject", TEXT, IF_NOT_EMPTY.format("o.subject"), "The version or execution."),
        ),
    ),
)
