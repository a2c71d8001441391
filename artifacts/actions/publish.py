"""Publishing: a value becomes a version of an artifact, in the caller's transaction."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from django.db import DEFAULT_DB_ALIAS, IntegrityError, transaction
from django.db.models.signals import post_save
from django.utils import timezone
from flyteidl.core import interface_pb2, literals_pb2, types_pb2

from artifacts import literals, wire
from artifacts.actions.declare import NewPlace, artifacts_of, declare
from artifacts.actions.holding import hold_data
from artifacts.actions.publication_rows import write_beside
from artifacts.actions.waiting import done_if_none_waits
from artifacts.arrays import column_of
from artifacts.cards import LARGE_CARD_BYTES, store_card
from artifacts.declarations import Declaration, Key, Publishing, read_output
from artifacts.exceptions import AlreadyExists, CausewayError, InvalidArgument
from artifacts.governance.checks import judge_published
from artifacts.inserting import insert_rows
from artifacts.literals.identity import CARRIED_KEY
from artifacts.models import Alias, Artifact, ArtifactVersion, Granularity, Kind
from artifacts.names import MAX_VERSION, check_name, check_partition_keys, check_partition_value, check_version
from artifacts.partition_values import digest_of
from artifacts.partitions import format_time, truncate
from artifacts.prepared import prepared
from artifacts.shadows import mark, shadow_of_call
from artifacts.terms import terms_of
from artifacts.uploads import recorded_hash, size_of_value

END_NODE = "end-node"
RESERVED_KEYS = (wire.CARD_KEY, wire.PARTITIONS_KEY, wire.METRICS_KEY, wire.ATTRIBUTES_KEY, wire.DECLARED_KEY)


@dataclass(frozen=True)
class Source:
    """Where published values come from. `node_id` is `end-node` for the outputs of the whole workflow."""

    execution_key: str  # project/domain/name
    project: str
    domain: str
    node_id: str
    attempt: int
    producer: str  # `task:<name>@<version>` or `workflow:<name>@<version>`
    actor: str
    index: int = -1  # item of a map; -1: not a map
    is_shadow: bool = False  # beside production: what it publishes is marked

    def version_of(self, output: str, key: Key) -> str:
        """The identity under which an output is published: a repeated report finds the first publication by it."""
        execution = self.execution_key.rpartition("/")[2]
        if key[:2] != (self.project, self.domain):  # published elsewhere, where the same execution name may exist too
            execution = f"{self.project}.{self.domain}.{execution}"
        item = f".{self.index}" if self.index >= 0 else ""
        name = f"{execution}.{self.node_id}{item}.{self.attempt}.{output}"
        if len(name) > MAX_VERSION:
            name = f"{name[: MAX_VERSION - 33]}-{hashlib.blake2b(name.encode(), digest_size=16).hexdigest()}"
        return name


class Published(NamedTuple):
    values: literals_pb2.LiteralMap  # the outputs, each published one carrying its version's id
    versions: list[tuple[str, ArtifactVersion]]  # output name, version


def publish_outputs(
    *,
    outputs: interface_pb2.VariableMap,
    values: literals_pb2.LiteralMap,
    inputs: literals_pb2.LiteralMap,
    source: Source,
    at: datetime,
) -> Published:
    """Publish every annotated output as a version, in the caller's transaction. Publishing the same again is a no-op.

    Raises InvalidArgument, with nothing written, for partitions that do not fit the declaration or a declaration that
    does not fit the artifact, and AlreadyExists for a different value under an identity already published, or one that
    is called as an alias of the artifact is.
    """
    publishing = [
        read_output(
            name,
            variable,
            values.literals[name],
            inputs.literals,
            project=source.project,
            domain=source.domain,
        )
        for name, variable in sorted(outputs.variables.items())
        if variable.HasField("artifact_partial_id") and name in values.literals
    ]
    carried = literals_pb2.LiteralMap()
    carried.CopyFrom(values)
    if not publishing:
        return Published(carried, [])
    artifacts = declare([(p.declaration, _kind(p)) for p in publishing])
    rows = [_row(p, artifacts[p.declaration.key], source, at) for p in publishing]
    _refuse_aliases(rows)
    if source.is_shadow:
        mark(rows)
    versions = insert_versions(rows)
    for p, version in zip(publishing, versions, strict=True):
        literal = literals_pb2.Literal()
        literal.CopyFrom(literals.carry(p.literal, version.pk))
        _without_ours(literal)  # it belongs to this publication alone
        literals.show_mounted(literal, version.metadata)
        carried.literals[p.output].CopyFrom(literal)
    return Published(carried, [(p.output, version) for p, version in zip(publishing, versions, strict=True)])


def _without_ours(literal: literals_pb2.Literal) -> None:
    for key in [key for key in literal.metadata if key in RESERVED_KEYS or key.startswith(wire.CHECK_PREFIX)]:
        del literal.metadata[key]


def _kind(publishing: Publishing) -> Kind:
    card = wire.card_of(publishing.literal.metadata)
    return card.kind if card and card.kind else literals.kind_of(publishing.variable.type)


def _row(publishing: Publishing, artifact: Artifact, source: Source, at: datetime) -> ArtifactVersion:
    metadata = publishing.literal.metadata
    uri = literals.primary_uri(publishing.literal)
    wire.check_text(uri, f"the URI of output '{publishing.output}'")
    wire.check_text(publishing.literal.hash, f"the hash of output '{publishing.output}'")
    value = literals_pb2.Literal()
    value.CopyFrom(publishing.literal)
    _without_ours(value)
    value.metadata.pop(CARRIED_KEY, None)
    attributes = wire.attributes_of(metadata)
    literals.show_mounted(value, attributes)
    row = ArtifactVersion(
        artifact=artifact,
        version=source.version_of(publishing.output, artifact.key),
        kind=_kind(publishing),
        literal=value.SerializeToString(deterministic=True),
        literal_type=publishing.variable.type.SerializeToString(deterministic=True),
        uri=uri,
        content_hash=value.hash[:128],
        size_bytes=size_of_value(value),
        partitions=publishing.partitions,
        time_partition=publishing.time_partition,
        execution_key=source.execution_key,
        node_id=source.node_id,
        attempt=source.attempt,
        output=publishing.output,
        producer=source.producer,
        created_by=source.actor,
        metadata=attributes,
        metrics=wire.metrics_of(metadata),
        same_data_as_id=literals.carried(publishing.literal),
        created_at=at,
    )
    row.reports = wire.reports_of(metadata)
    card = wire.card_of(metadata)
    if card is not None:
        row.card_format, row.card, row.card_uri = card.format, card.body, card.uri
    return row


def insert_versions(rows: Sequence[ArtifactVersion]) -> list[ArtifactVersion]:
    """Insert versions that are not there yet; the present ones are returned as they are, if they hold the same value.

    The caller's transaction makes the versions appear together. AlreadyExists: one is there with a different value.
    """
    for row in rows:
        row.partition_digest = digest_of(row.partitions)
        if len(row.card.encode()) > LARGE_CARD_BYTES:
            row.card, row.card_uri = "", store_card(row)
    present = _present(rows)
    new = list({key: row for row in reversed(rows) if (key := (row.artifact_id, row.version)) not in present}.values())
    new.reverse()
    if new:
        _inherit(new)
    _insert(new)
    write_beside(new)
    judge_published(new)
    present |= {(row.artifact_id, row.version): row for row in new}
    found = [present[row.artifact_id, row.version] for row in rows]
    for row, first in zip(rows, found, strict=True):
        if row is not first:
            _check_same(row, first)
    return found


# Pair by pair: asked for any of the artifacts and any of the names, the index is searched for all combinations.
_PRESENT = """
    SELECT version.id FROM unnest(%s::bigint[], %s::text[]) AS wanted(artifact, version)
    JOIN artifacts_artifactversion AS version
        ON version.artifact_id = wanted.artifact AND version.version = wanted.version
"""


def _present(rows: Sequence[ArtifactVersion]) -> dict[tuple[int, str], ArtifactVersion]:
    wanted = [row for row in rows if not row.has_new_name]
    if not wanted:
        return {}
    with prepared() as cursor:
        columns = column_of(row.artifact_id for row in wanted), column_of(row.version for row in wanted)
        cursor.execute(_PRESENT, columns)
        keys = [key for (key,) in cursor.fetchall()]
    if not keys:
        return {}
    artifacts = {row.artifact_id: row.artifact for row in rows}
    found = ArtifactVersion.objects.filter(pk__in=keys).defer("terms")
    present = {(version.artifact_id, version.version): version for version in found}
    for version in present.values():
        version.artifact = artifacts[version.artifact_id]
    return present


def _insert(rows: Sequence[ArtifactVersion]) -> None:
    for row in rows:
        row.terms = terms_of(row)
    insert_rows(rows, computed=done_if_none_waits() if all(row.artifact.asks for row in rows) else None)
    for row in rows:  # as `save` would: it is what wakes the triggers
        post_save.send(ArtifactVersion, instance=row, created=True, raw=False, using=DEFAULT_DB_ALIAS)


def _inherit(rows: Sequence[ArtifactVersion]) -> None:
    """A version that carries the data of another one, and says nothing of its own about it, shows that one's card and
    metrics.
    """
    wanting = [row for row in rows if row.same_data_as_id is not None]
    if not wanting:
        return
    originals = ArtifactVersion.objects.in_bulk({row.same_data_as_id for row in wanting if row.same_data_as_id})
    for row in wanting:
        original = originals.get(row.same_data_as_id or 0)
        if original is None:  # the id came with the literal; only an existing one is a fact
            row.same_data_as_id = None
            continue
        if not row.card and not row.card_uri:
            row.card, row.card_uri, row.card_format = original.card, original.card_uri, original.card_format
        row.metrics = row.metrics or original.metrics


def _check_same(row: ArtifactVersion, before: ArtifactVersion) -> None:
    same = (
        bytes(before.literal) == bytes(row.literal)
        and before.partitions == row.partitions
        and before.time_partition == row.time_partition
    )
    if not same:
        raise AlreadyExists(f"{row.artifact.name}@{row.version} is already published with a different value")


@dataclass(frozen=True)
class Publication:
    """A version from outside Causeway's executions: from a laptop, CI, or a reference to data that lies elsewhere."""

    project: str
    domain: str
    name: str
    literal: literals_pb2.Literal
    literal_type: types_pb2.LiteralType
    version: str = ""  # empty: a new one is made up
    partitions: Mapping[str, str] = field(default_factory=dict)
    time_partition: datetime | None = None
    granularity: Granularity = Granularity.UNSET  # UNSET with a time partition: the artifact's, else by day
    kind: Kind | None = None
    description: str = ""
    card: str = ""
    card_format: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    size_bytes: int | None = None
    content_hash: str = ""
    producer: str = ""
    at: datetime | None = None  # when it came to be, of what is told later; None: now


class Outcome(NamedTuple):
    version: ArtifactVersion
    created: bool  # False: the same was published before


def publish(publication: Publication, *, actor: str) -> ArtifactVersion:
    """Publish one version from outside, as `publish_all` does."""
    return publish_all([publication], actor=actor)[0].version


def publish_all(
    publications: Sequence[Publication], *, actor: str, new_place: NewPlace | None = None, apart: bool = False
) -> list[Outcome]:
    """Publish from outside, all of them or none. `new_place` refuses places where no artifact may be begun.

    The same identity and value again returns the first version; errors as for publish_outputs, and those of one among
    several say which, counted from 0. `apart`: the caller has no transaction in which anything else is done, so that
    who begins to wait for versions may wait for it (artifacts.actions.waiting).
    """
    try:
        with transaction.atomic():
            return _publish_all(publications, actor, new_place, apart)
    except IntegrityError:  # published under the same identity this very moment: the first one counts
        with transaction.atomic():
            return _publish_all(publications, actor, new_place, apart)


def _publish_all(
    publications: Sequence[Publication], actor: str, new_place: NewPlace | None, apart: bool
) -> list[Outcome]:
    declared = {}
    for index, publication in enumerate(publications):
        with _naming(index, publications):
            declared[index] = (
                _declaration(publication),
                publication.kind or literals.kind_of(publication.literal_type),
            )
    artifacts = declare(list(declared.values()), new_place=new_place, asking=apart)
    rows = []
    for index, publication in enumerate(publications):
        declaration, kind = declared[index]
        with _naming(index, publications):
            rows.append(_row_from_outside(publication, artifacts[declaration.key], kind, actor))
    _refuse_aliases(rows, publications)
    hold_data({row.uri for row in rows if recorded_hash(row.uri)})  # uploads: the same content lies at one place
    if shadow_of_call() is not None:
        mark(rows)
    found = insert_versions(rows)
    for index, version in enumerate(found):
        if version.removed_at is not None:
            with _naming(index, publications):
                raise AlreadyExists(
                    f"{version} was published before, and removed {format_time(version.removed_at)}: "
                    "its identity is not used again"
                )
    return [Outcome(version, version is row) for version, row in zip(found, rows, strict=True)]


def _refuse_aliases(rows: Sequence[ArtifactVersion], publications: Sequence[Publication] = ()) -> None:
    """AlreadyExists for a version that would be called as an alias of its artifact is: one word must not mean two."""
    named = [row for row in rows if row.artifact.has_aliases and not row.has_new_name]
    if not named:
        return
    aliases = Alias.objects.filter(
        artifact__in={row.artifact_id for row in named}, name__in={row.version for row in named}
    )
    taken = set(aliases.values_list("artifact_id", "name"))
    for index, row in enumerate(rows):
        if (row.artifact_id, row.version) in taken:
            with _naming(index, publications):
                raise AlreadyExists(f"'{row.version}' is an alias of {row.artifact.name}: no version can be called so")


@contextmanager
def _naming(index: int, publications: Sequence[Publication]) -> Iterator[None]:
    """Says which of several publications an error is about."""
    try:
        yield
    except CausewayError as error:
        if len(publications) > 1:
            error.message = f"items/{index}: {error.message}"
        raise


def _declaration(publication: Publication) -> Declaration:
    key = (publication.project, publication.domain, check_name(publication.name))
    keys = tuple(sorted(check_partition_keys(publication.partitions)))
    return Declaration(key, keys, _granularity_of(publication, key))


def _row_from_outside(publication: Publication, artifact: Artifact, kind: Kind, actor: str) -> ArtifactVersion:
    values = publication.partitions
    if publication.description and not artifact.description:
        artifact.description = publication.description
        Artifact.objects.filter(pk=artifact.pk, description="").update(description=publication.description)
    value, attributes = literals_pb2.Literal(), wire.check_attributes(publication.metadata)
    value.CopyFrom(publication.literal)
    literals.show_mounted(value, attributes)
    row = ArtifactVersion(
        artifact=artifact,
        version=check_version(publication.version) if publication.version else uuid.uuid4().hex[:20],
        kind=kind,
        literal=value.SerializeToString(deterministic=True),
        literal_type=publication.literal_type.SerializeToString(deterministic=True),
        uri=literals.primary_uri(publication.literal),
        size_bytes=publication.size_bytes,
        content_hash=publication.content_hash,
        partitions={key: check_partition_value(key, values[key]) for key in sorted(values)},
        time_partition=_truncated(publication.time_partition, artifact),
        producer=publication.producer,
        created_by=actor,
        card=publication.card,
        card_format=(publication.card_format or "markdown") if publication.card else "",
        metadata=attributes,
        metrics=wire.check_metrics(publication.metrics),
        created_at=publication.at or timezone.now(),
    )
    row.has_new_name = not publication.version
    return row


def _granularity_of(publication: Publication, key: Key) -> Granularity:
    if publication.granularity or publication.time_partition is None:
        return publication.granularity
    declared = artifacts_of([key]).get(key)
    return Granularity(declared.granularity) if declared else Granularity.DAY


def _truncated(moment: datetime | None, artifact: Artifact) -> datetime | None:
    if moment is None:
        if artifact.granularity:
            raise InvalidArgument(f"{artifact.name} is time partitioned: give a time partition")
        return None
    if not artifact.granularity:
        raise InvalidArgument(f"{artifact.name} is not time partitioned, but {format_time(moment)} was given")
    return truncate(moment, artifact.granularity)
