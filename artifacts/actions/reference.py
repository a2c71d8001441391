"""A version under another name or elsewhere, by reference: the same bytes, an identity of its own."""

from __future__ import annotations

from django.utils import timezone

from artifacts.actions.declare import declare
from artifacts.actions.holding import hold, hold_data
from artifacts.actions.publish import insert_versions
from artifacts.declarations import Declaration
from artifacts.exceptions import AlreadyExists, FailedPrecondition
from artifacts.models import Alias, ArtifactVersion, Granularity, Kind
from artifacts.names import check_name, check_place

# Of the version, whatever name it goes by: its value, what it says of itself, and who made it.
_KEPT = (
    *("version", "kind", "literal", "literal_type", "uri", "size_bytes", "content_hash", "partitions"),
    *("time_partition", "execution_key", "node_id", "attempt", "output", "producer", "card_format", "card"),
    *("card_uri", "metadata", "metrics"),
)


def publish_reference(source: ArtifactVersion, *, project: str, domain: str, name: str, actor: str) -> ArtifactVersion:
    """Publish the source's value as a version of the artifact there, in the caller's transaction; the one that is there
    already, if it was done before. It is called as the source is, and names it as the one whose data it is.

    FailedPrecondition for a source that was removed, InvalidArgument where the artifact there has other partition keys,
    AlreadyExists where something else is called so.
    """
    check_place(project, domain)
    if not hold([source.pk]):
        raise FailedPrecondition(f"{source} was removed: only its name could be taken elsewhere")
    if source.uri:
        hold_data({source.uri})
    of = source.artifact
    declaration = Declaration(
        (project, domain, check_name(name)), tuple(sorted(of.partition_keys)), Granularity(of.granularity)
    )
    artifact = declare([(declaration, Kind(source.kind))])[declaration.key]
    if Alias.objects.filter(artifact=artifact, name=source.version).exists():
        raise AlreadyExists(f"{artifact} has an alias '{source.version}': no version can be called so")
    row = ArtifactVersion(
        **{column: getattr(source, column) for column in _KEPT},
        artifact=artifact,
        same_data_as=source,
        created_by=actor,
        created_at=timezone.now(),
    )
    found = insert_versions([row])[0]
    if found is not row and found.same_data_as_id != source.pk:
        raise AlreadyExists(f"{found} was published there before, and not from {source}")
    if found.removed_at is not None:
        raise AlreadyExists(f"{found} was promoted before, and removed: its identity is not used again")
    return found
