"""What views and their columns are made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    name: str
    type: str  # as PostgreSQL's format_type calls it
    sql: str
    comment: str


@dataclass(frozen=True)
class View:
    name: str
    comment: str
    source: str  # FROM ...
    columns: tuple[Column, ...]


TIME, TEXT, INT, BIG, FLOAT, BOOL, JSON = (
    "timestamp with time zone",
    "text",
    "integer",
    "bigint",
    "double precision",
    "boolean",
    "jsonb",
)
IF_NOT_EMPTY = "NULLIF({0}::text, '')"


def key_of(row: str) -> str:
    """As in lineage and versions; there is an index of exactly this."""
    return f"((({row}.project::text || '/') || {row}.domain::text) || '/') || {row}.name::text"


def where_of(row: str) -> tuple[Column, Column]:
    return (
        Column("project", TEXT, f"{row}.project::text", "The project it lies in."),
        Column("domain", TEXT, f"{row}.domain::text", "The domain it lies in."),
    )
