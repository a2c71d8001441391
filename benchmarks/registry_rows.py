"""A registry as a company of some years would have it: few hot artifacts, many small ones, everything written by COPY.

Skew: two artifacts hold 200,000 versions each, one model 100,000, the rest follow a power law. Every execution took in
eight versions (recent ones, and now and then a base dataset that half the company uses) and published two.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import accumulate

import psycopg
from flyteidl.core import literals_pb2, types_pb2

from artifacts.models import ArtifactVersion
from artifacts.partition_values import NO_PARTITIONS, digest_of
from artifacts.partitions import truncate
from artifacts.terms import terms_of

PROJECTS = ("search", "ads", "risk", "vision", "flytesnacks", "logistics")
DOMAINS = ("development", "staging", "production")
REGIONS = tuple(f"{a}{b}" for a in ("SE", "LA", "AT", "NY", "BO", "CH", "DE", "MI") for b in "ABCDE")
SPLITS = ("train", "validation", "test")
TEN_KEYS = ("region", "split", "tenant", "channel", "currency", "shop", "device", "language", "tier", "source")
END = datetime(2026, 11, 1, tzinfo=timezone.utc)
SPAN = timedelta(days=730)
CONSUMED, PRODUCED = 8, 2  # by an execution
WORDS = [f"{a}{b}" for a in ("drift", "wine", "sales", "churn", "fraud", "tile", "route", "click") for b in range(500)]
NOTES = ("drift", "baseline", "quarterly", "retrained", "imputed", "backfill", "skew", "holdout")


def seeded(seed: int) -> random.Random:
    """The same rows every time."""
    return random.Random(seed)  # noqa: S311 - no secrets


@dataclass
class Name:
    """An artifact, and how many of the versions are its own."""

    pk: int
    project: str
    domain: str
    name: str
    kind: str
    keys: Sequence[str]
    granularity: int
    weight: float
    partitions: dict[str, dict[str, str]] = field(default_factory=dict)  # seen, by digest


def names(count: int, versions: int) -> list[Name]:
    rng = seeded(1)
    hot = [
        Name(1, "flytesnacks", "production", "ml-dataset", "dataset", ("region", "split"), 2, 0.2),
        Name(2, "flytesnacks", "production", "sensor-ticks", "dataset", ("region",), 1, 0.2),
        Name(3, "flytesnacks", "production", "ml-model", "model", (), 0, 0.1),
    ]
    shapes: list[tuple[Sequence[str], int]] = [((), 0), (("region",), 0), (("region", "split"), 3), (("day",), 0)]
    shapes += [((), 2), (TEN_KEYS, 0)]
    kinds = ["model", "dataset", "dataset", "file", "directory", "value", "other"]
    power = [1 / (n + 5) for n in range(count - len(hot))]
    cold = []
    for n, share in enumerate(power):
        keys, granularity = rng.choices(shapes, (40, 20, 15, 10, 10, 5))[0]
        name = f"{rng.choice(WORDS)}-{n}"
        cold.append(
            Name(
                len(hot) + n + 1,
                rng.choice(PROJECTS),
                rng.choice(DOMAINS),
                name,
                rng.choice(kinds),
                keys,
                granularity,
                0.5 * share / sum(power),
            )
        )
    return hot + cold


class Rows:
    """What goes into each table. `versions()` first: the others tell what it made."""

    def __init__(self, versions: int, artifacts: int) -> None:
        self.count = versions
        self.names = names(artifacts, versions)
        self.metrics: list[tuple[int, str, float]] = []
        self.newest: dict[int, int] = {}

    def created(self, pk: int) -> datetime:
        return END - SPAN + SPAN * ((pk - 1) // PRODUCED * PRODUCED / self.count)

    def execution(self, pk: int) -> str:
        name = self.names[(pk // PRODUCED) % len(self.names)]
        return f"{name.project}/{name.domain}/x{pk // PRODUCED:08x}"

    def artifacts(self) -> Iterator[tuple[object, ...]]:
        for n in self.names:
            text = f"{n.name} of {n.project}: {seeded(n.pk).choice(NOTES)} data" if n.pk % 3 == 0 else ""
            yield (
                *(n.pk, n.project, n.domain, n.name, n.kind, text, list(n.keys), n.granularity),
                END - SPAN + timedelta(seconds=n.pk),
            )

    def versions(self) -> Iterator[tuple[object, ...]]:
        rng = seeded(2)
        weights = list(accumulate(n.weight for n in self.names))
        kind_type = types_pb2.LiteralType(simple=types_pb2.INTEGER).SerializeToString()
        for pk in range(1, self.count + 1):
            name = rng.choices(self.names, cum_weights=weights)[0]
            at = self.created(pk)
            partitions = self._partitions(name, at, rng)
            digest = digest_of(partitions)
            name.partitions.setdefault(digest, partitions)
            self.newest[name.pk] = pk
            metrics = self._metrics(name, rng)
            self.metrics += [(pk, key, value) for key, value in metrics.items()]
            version = ArtifactVersion(
                version=f"x{pk // PRODUCED:08x}.n0.0.o{pk % PRODUCED}",
                producer=f"task:{name.project}.pipelines.{name.name.replace('-', '_')}.fit@v{pk * 20 // self.count}",
                partitions=partitions,
                metadata={"framework": rng.choice(("sklearn", "torch", "xgboost"))} if name.kind == "model" else {},
                card=self._card(rng) if rng.random() < 0.1 else "",
            )
            lexemes = terms_of(version)
            literal = literals_pb2.Literal(scalar={"primitive": {"integer": pk}})  # type: ignore[arg-type]
            yield (
                *(pk, name.pk, version.version, name.kind, literal.SerializeToString(), kind_type),
                *("" if pk % 3 else f"file:///data/{pk:08x}", pk * 17 % 10**9, "", json.dumps(partitions), digest),
                *(truncate(at, name.granularity) if name.granularity else None, self.execution(pk)),
                *("n0", 0, f"o{pk % PRODUCED}", version.producer, f"user{pk % 40}"),
                *("markdown" if version.card else "", version.card, "", json.dumps(version.metadata)),
                *(json.dumps(metrics), lexemes, None, at, at, None),
            )

    @staticmethod
    def _partitions(name: Name, at: datetime, rng: random.Random) -> dict[str, str]:
        values = {}
        for key in name.keys:
            if key == "region":  # few regions make most of the data; one was given up a year ago
                open_now = REGIONS if at < END - SPAN / 2 else REGIONS[1:]
                values[key] = open_now[min(int(rng.expovariate(0.15)), len(open_now) - 1)]
            elif key == "split":
                values[key] = rng.choice(SPLITS)
            elif key == "day":
                values[key] = f"{at:%Y-%m-%d}"
            else:
                values[key] = f"{key}-{min(int(rng.expovariate(0.4)), 30)}"
        return values

    @staticmethod
    def _metrics(name: Name, rng: random.Random) -> dict[str, float]:
        if name.kind == "model":
            return {"auc": 1 - rng.expovariate(8), "loss": rng.expovariate(2)}
        return {"rows": float(rng.randrange(10**6))} if name.kind == "dataset" and rng.random() < 0.4 else {}

    @staticmethod
    def _card(rng: random.Random) -> str:
        return "# Report\n\n" + " ".join(rng.choices(WORDS, k=40) + rng.choices(NOTES, k=3))

    def partitions(self) -> Iterator[tuple[object, ...]]:
        for name in self.names:
            for digest, values in name.partitions.items():
                yield name.pk, digest, json.dumps(values)

    def aliases(self) -> Iterator[tuple[object, ...]]:
        for artifact, pk in self.newest.items():
            for name in ("champion", "production") if artifact % 10 == 0 else ("champion",):
                yield artifact, name, "{}", NO_PARTITIONS, pk, END

    def edges(self) -> Iterator[tuple[object, ...]]:
        rng = seeded(3)
        for first in range(1, self.count + 1, PRODUCED):
            key, at = self.execution(first), self.created(first)
            recent = max(1, first - 50_000)
            used = {rng.randint(recent, first - 1) for _ in range(CONSUMED)} if first > 1 else set()
            if first > 100 and rng.random() < 0.2:
                used.add(7)  # the base dataset
            for n, version in enumerate(used):
                yield version, key, "", 0, f"in{n}", "consumed", "query", at
            for version in range(first, min(first + PRODUCED, self.count + 1)):
                yield version, key, "n0", 0, f"o{version % PRODUCED}", "produced", "output", at


COLUMNS = {
    "artifacts_artifact": "id, project, domain, name, kind, description, partition_keys, granularity, created_at",
    "artifacts_artifactversion": "id, artifact_id, version, kind, literal, literal_type, uri, size_bytes, content_hash,"
    "partitions, partition_digest, time_partition, execution_key, node_id, attempt, output, producer, created_by,"
    "card_format, card, card_uri, metadata, metrics, terms, same_data_as_id, created_at, triggers_evaluated_at,"
    "removed_at",
    "artifacts_partition": "artifact_id, digest, values",
    "artifacts_metric": "version_id, name, value",
    "artifacts_alias": "artifact_id, name, partitions, partition_digest, version_id, moved_at",
    "lineage_versionedge": "version_id, execution_key, node_id, attempt, variable, role, via, at",
}


# Whatever an execution published was made of all that it took in.
DERIVED = """
    INSERT INTO lineage_derivation (source_id, target_id)
    SELECT consumed.version_id, produced.version_id FROM lineage_versionedge AS produced
    JOIN lineage_versionedge AS consumed ON consumed.execution_key = produced.execution_key
        AND consumed.role = 'consumed'
    WHERE produced.role = 'produced'
"""


def fill(
    connection: psycopg.Connection[tuple[object, ...]], *, versions: int, artifacts: int, lineage: bool = True
) -> None:
    """Everything, in one transaction a table; indexes and constraints are made again after the rows are there."""
    rows = Rows(versions, artifacts)
    sources = {
        "artifacts_artifact": rows.artifacts,
        "artifacts_artifactversion": rows.versions,
        "artifacts_partition": rows.partitions,
        "artifacts_metric": lambda: iter(rows.metrics),
        "artifacts_alias": rows.aliases,
        **({"lineage_versionedge": rows.edges} if lineage else {}),
    }
    connection.execute("SET maintenance_work_mem = '256MB'; SET synchronous_commit = off")
    with without_indexes(connection, [*sources, "lineage_derivation"]):
        for table, source in sources.items():
            begun = time.monotonic()
            with connection.cursor() as cursor:
                with cursor.copy(f"COPY {table} ({COLUMNS[table]}) FROM STDIN") as copy:  # type: ignore[arg-type]  # noqa: S608
                    for row in source():
                        copy.write_row(row)
                print(f"{table:<32} {cursor.rowcount:>10,} rows {time.monotonic() - begun:7.1f} s", flush=True)
            connection.commit()
        if lineage:
            connection.execute(DERIVED)
            connection.commit()
    for table in ("artifacts_artifact", "artifacts_artifactversion"):
        connection.execute(f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))")  # type: ignore[arg-type]  # noqa: S608
    connection.commit()
    connection.autocommit = True
    for table in [*sources, "lineage_derivation"]:
        connection.execute(f"VACUUM (ANALYZE) {table}")  # type: ignore[arg-type]


@contextmanager
def without_indexes(connection: psycopg.Connection[tuple[object, ...]], tables: list[str]) -> Iterator[None]:
    """Drops what slows a load down, and makes it again as it was."""
    constraints = connection.execute(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE conrelid = ANY(%s::regclass[]) AND contype IN ('f', 'u') ORDER BY contype DESC",
        [tables],
    ).fetchall()
    named = {row[1] for row in constraints}
    for table, name, _ in sorted(constraints, key=lambda row: "FOREIGN" not in str(row[2])):
        connection.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')  # type: ignore[arg-type]
    indexes = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s) AND indexname NOT LIKE '%%_pkey'",
        [tables],
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f'DROP INDEX "{name}"')  # type: ignore[arg-type]
    connection.commit()
    yield
    for name, definition in indexes:
        begun = time.monotonic()
        if name not in named:
            connection.execute(str(definition))  # type: ignore[arg-type]
            print(f"{name:<42} {time.monotonic() - begun:7.1f} s", flush=True)
    for table, name, definition in sorted(constraints, key=lambda row: "FOREIGN" in str(row[2])):
        connection.execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')  # type: ignore[arg-type]
    connection.commit()
