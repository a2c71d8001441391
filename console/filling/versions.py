"""Made-up versions as rows: those that executions published, and as many others as are asked for."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from flyteidl.core import literals_pb2, types_pb2

from artifacts.governance.pointers import set_alias_policy
from artifacts.models import Alias, AliasMove, Artifact, ArtifactVersion, CardFormat, Metric, Partition
from artifacts.partition_values import digest_of
from artifacts.partitions import truncate
from artifacts.store import store
from artifacts.terms import terms_of
from console.filling.company import DAYS, DOMAIN, PER_REGION, REGIONS, THINGS, Step, Thing
from console.filling.copying import Copy, put_shared, reserve
from console.filling.runs import Run
from lineage.models import Derivation, VersionEdge, VersionRole, Via

BLOB = types_pb2.LiteralType(blob=types_pb2.BlobType(dimensionality=types_pb2.BlobType.SINGLE))
TEAMS = ("ads", "catalog", "fulfilment", "growth", "logistics", "pricing", "search", "support")
WHAT = ("clicks", "orders", "baskets", "routes", "returns", "tickets", "ranks", "visits", "prices", "stock")
FORMS = ("hourly", "daily", "weekly", "sample", "report", "embeddings", "model", "index")
PORTION = 20_000


@dataclass(frozen=True)
class Published:
    pk: int
    at: datetime
    version: str


class Versions:
    """Rows wait until `flush`, so that they come after the executions that made them."""

    def __init__(self, seed: int, now: datetime) -> None:
        self.rng, self.now = random.Random(seed + 2), now  # noqa: S311 - no secrets
        self.artifacts: dict[str, Artifact] = {}
        self.latest: dict[tuple[str, str], Published] = {}  # by artifact and region
        self.earlier: dict[tuple[str, str], Published] = {}  # those before them
        self.seen: set[tuple[int, str]] = set()
        self.free: list[int] = []
        self.data: dict[tuple[str, str], tuple[str, int]] = {}
        self.waiting: dict[str, list[tuple[object, ...]]] = defaultdict(list)
        self.consumed: dict[str, list[int]] = {}
        self.tables = {
            "version": Copy(
                ArtifactVersion,
                *("id", "artifact_id", "version", "kind", "literal", "literal_type", "uri", "size_bytes"),
                *("partitions", "partition_digest", "time_partition", "execution_key", "node_id", "attempt", "output"),
                *("producer", "created_by", "metadata", "metrics", "terms", "created_at", "triggers_evaluated_at"),
                *("card", "card_format"),
            ),
            "partition": Copy(Partition, "artifact_id", "digest", "values"),
            "metric": Copy(Metric, "version_id", "name", "value"),
            "edge": Copy(VersionEdge, "version_id", "execution_key", "node_id", "variable", "role", "via", "at"),
            "derivation": Copy(Derivation, "source_id", "target_id"),
        }

    @property
    def count(self) -> int:
        return self.tables["version"].count + len(self.waiting["version"])

    def artifact(self, thing: Thing) -> Artifact:
        if thing.name not in self.artifacts:
            values = {"kind": thing.kind, "partition_keys": list(thing.keys), "granularity": thing.granularity}
            self.artifacts[thing.name], _ = Artifact.objects.get_or_create(
                project=thing.project,
                domain=DOMAIN,
                name=thing.name,
                defaults=values | {"description": thing.about},
            )
            rows = Partition.objects.filter(artifact=self.artifacts[thing.name]).values_list("artifact_id", "digest")
            self.seen.update(rows)
        return self.artifacts[thing.name]

    def newest(self, name: str, region: str, *, before: datetime) -> Published | None:
        if name == "fleet-ping":  # each heartbeat is one of its own
            return self.publish_outside(THINGS[name], region, before - timedelta(milliseconds=40))
        found = (known.get((name, region)) for known in (self.latest, self.earlier))
        return next((one for one in found if one is not None and one.at < before), None)

    def use(self, version: Published, key: str, variable: str, at: datetime) -> None:
        self.waiting["edge"].append((version.pk, key, "", variable, VersionRole.CONSUMED, Via.QUERY, at))
        self.consumed.setdefault(key, []).append(version.pk)

    def publish(self, name: str, run: Run, key: str, execution: str, step: Step, at: datetime) -> None:
        thing = THINGS[name]
        producer = f"task:{step.task}@v1"
        time = run.day if thing.granularity else None
        version = f"{execution}.{step.node}.0.o0"
        made = self._add(
            thing, run.region, version, at, producer=producer, by=run.by, key=key, node=step.node, time=time
        )
        self.waiting["edge"].append((made.pk, key, step.node, "o0", VersionRole.PRODUCED, Via.OUTPUT, at))
        for source in self.consumed.get(key, ()):
            self.waiting["derivation"].append((source, made.pk))
        self.consumed.setdefault(key, []).append(made.pk)

    def publish_outside(self, thing: Thing, region: str, at: datetime) -> Published:
        name = f"{self.rng.getrandbits(76):019x}"
        time = truncate(at, thing.granularity) if thing.granularity else None
        return self._add(thing, region, name, at, producer="", by="chloe", time=time)

    def more(self, count: int) -> Iterator[int]:
        """Others than the company's own, in portions; yields how many are written."""
        things, weights = _tail(max(20, min(3_000, count // 150)))
        left = count
        while left > 0:
            for thing in self.rng.choices(things, weights, k=min(left, PORTION)):
                age = DAYS * self.rng.random()
                self.publish_outside(thing, self.rng.choice(REGIONS), self.now - timedelta(days=age))
            left -= PORTION
            self.flush()
            yield self.tables["version"].count

    def flush(self) -> None:
        for name, table in self.tables.items():
            table.write(self.waiting.pop(name, []))
        self.consumed.clear()

    def aliases(self) -> None:
        """The newest model of Seattle is the champion, that of Los Angeles the candidate; each region has a champion of
        its own where they are kept so. They took the place of those before.
        """
        for name, artifact in self.artifacts.items():
            if artifact.kind != "model":
                continue
            regions = REGIONS if name in PER_REGION else REGIONS[:1]
            if name in PER_REGION:
                set_alias_policy(artifact, "champion", {"per": ["region"]}, actor="emma")
            for region in regions:
                self._name(artifact, "champion", region, {"region": region} if name in PER_REGION else {})
            self._name(artifact, "candidate", REGIONS[1], {})

    def _name(self, artifact: Artifact, alias: str, region: str, partitions: dict[str, str]) -> None:
        version, earlier = self.latest.get((artifact.name, region)), self.earlier.get((artifact.name, region))
        if version is None:
            return
        Alias.objects.get_or_create(
            artifact=artifact,
            name=alias,
            partition_digest=digest_of(partitions),
            defaults={"version_id": version.pk, "moved_at": version.at, "partitions": partitions},
        )
        steps = [(None, earlier), (earlier, version)] if earlier is not None else [(None, version)]
        AliasMove.objects.bulk_create(
            AliasMove(
                artifact=artifact,
                name=alias,
                partitions=partitions,
                from_version_id=before.pk if before is not None else None,
                to_version_id=after.pk,
                at=after.at,
                actor="ann",
                reason="better",
            )
            for before, after in steps
        )

    def _pk(self) -> int:
        if not self.free:
            first = reserve(ArtifactVersion, PORTION)
            self.free = list(range(first + PORTION - 1, first - 1, -1))
        return self.free.pop()

    def _add(
        self,
        thing: Thing,
        region: str,
        version: str,
        at: datetime,
        *,
        producer: str,
        by: str,
        key: str = "",
        node: str = "",
        time: datetime | None = None,
    ) -> Published:
        artifact, pk = self.artifact(thing), self._pk()
        partitions = {name: region if name == "region" else f"{name}-{pk % 7}" for name in thing.keys}
        digest = digest_of(partitions)
        if (artifact.pk, digest) not in self.seen:
            self.seen.add((artifact.pk, digest))
            self.waiting["partition"].append((artifact.pk, digest, partitions))
        metrics = {name: self._metric(middle, spread, at) for name, middle, spread in thing.metrics}
        metadata = {"framework": "xgboost"} if thing.kind == "model" else {}
        card = _card(thing, region, metrics) if thing.kind == "model" and thing.name in THINGS else ""
        row = ArtifactVersion(version=version, producer=producer, partitions=partitions, metadata=metadata, card=card)
        uri, size = self._data(thing, region, pk)
        literal = literals_pb2.Literal()
        literal.scalar.blob.uri = uri
        literal.scalar.blob.metadata.type.CopyFrom(BLOB.blob)
        self.waiting["version"].append(
            (
                *(pk, artifact.pk, version, thing.kind, literal.SerializeToString(), BLOB.SerializeToString(), uri),
                *(size, partitions, digest, time, key, node, 0, "o0"),
                *(producer, by, metadata, metrics, terms_of(row), at, at),
                *(card, CardFormat.MARKDOWN if card else ""),
            )
        )
        self.waiting["metric"].extend((pk, name, value) for name, value in metrics.items())
        made = Published(pk, at, version)
        before = self.latest.get((thing.name, region))
        if before is None or before.at < at:
            self.latest[thing.name, region] = made
            if before is not None:
                self.earlier[thing.name, region] = before
        return made

    def data_of(self, thing: Thing, region: str) -> str:
        """The address of what the company's own have in a region."""
        return self._data(thing, region, 0)[0]

    def _data(self, thing: Thing, region: str, pk: int) -> tuple[str, int]:
        """Address and size. The company's own have a small object for each region; of others there is nothing."""
        if thing.name not in THINGS:
            uri = store().join(store().root, "raw", thing.project, DOMAIN, "filled", thing.name, str(pk))
            return uri, int(thing.size * self.rng.uniform(0.7, 1.3))
        if (thing.name, region) not in self.data:
            body, ending = _body(thing, region)
            uri = put_shared("raw", thing.project, f"{thing.name}/{region}.{ending}", body)
            self.data[thing.name, region] = uri, len(body)
        return self.data[thing.name, region]

    def _metric(self, middle: float, spread: float, at: datetime) -> float:
        """It gets a little better with time."""
        age = (self.now - at) / timedelta(days=DAYS)
        value = self.rng.gauss(middle, spread / 2) - spread * (0.5 - age) * (1 if middle < 1 else 0)
        return round(max(value, 0.0), 4) if abs(middle) < 1000 else float(round(max(value, 0.0)))


def _card(thing: Thing, region: str, metrics: dict[str, float]) -> str:
    rows = "\n".join(f"| {name} | {value} |" for name, value in metrics.items())
    return (
        f"# {thing.name} of {region}\n\n{thing.about}\n\n| metric | value |\n| --- | --- |\n{rows}\n\n"
        f"**Made for** planning in {region}; it has seen nothing of other regions."
    )


def _body(thing: Thing, region: str) -> tuple[bytes, str]:
    """A small file of the kind, and the ending of its name."""
    if thing.kind == "model":
        return json.dumps(
            {"region": region, "depth": 6, "trees": 240, "learning_rate": 0.08}, indent=1
        ).encode(), "json"
    rows = [f"{region}-{number:03d},{40 + number * 37 % 211},{number * 13 % 89 / 10}" for number in range(300)]
    return "\n".join(["store,amount,price", *rows, ""]).encode(), "csv"


def _tail(count: int) -> tuple[list[Thing], list[float]]:
    """Artifacts of many teams, few of which have most of the versions."""
    kinds = {"model": "model", "report": "file", "index": "directory"}
    things = []
    for number in range(count):
        form = FORMS[number // len(WHAT) % len(FORMS)]
        team = TEAMS[number // (len(WHAT) * len(FORMS)) % len(TEAMS)]
        name = f"{team}-{WHAT[number % len(WHAT)]}-{form}" + (f"-{number // 640}" if number >= 640 else "")
        granularity = {"hourly": 2, "daily": 3}.get(form, 0)
        metrics = (("auc", 0.9, 0.04), ("loss", 0.3, 0.05)) if form == "model" else (("rows", 40_000.0, 9_000.0),)
        project = ("retail", "mobility", "risk")[number % 3]
        keys = ("region",) if number % 3 else ("region", "split")
        things.append(Thing(project, name, kinds.get(form, "dataset"), keys, granularity, metrics))
    return things, [1 / (number + 4) for number in range(count)]
