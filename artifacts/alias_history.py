"""Where aliases were before: what somebody needs who moves one back."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import OuterRef, Subquery

from artifacts.models import Alias, AliasMove, ArtifactVersion


def versions_before(aliases: Iterable[Alias]) -> dict[int, ArtifactVersion]:
    """By primary key of the alias (one of its pointers, where it is kept per partition): the version that it named
    before it came to the one that it names now; not those whose data was removed. Two queries, whatever there are.
    """
    came = AliasMove.objects.filter(
        artifact=OuterRef("artifact"),
        name=OuterRef("name"),
        partitions=OuterRef("partitions"),
        to_version=OuterRef("version"),
    )
    last = Subquery(came.order_by("-at", "-id").values("from_version")[:1])
    rows = Alias.objects.filter(pk__in=[alias.pk for alias in aliases]).annotate(before=last)
    before = dict(rows.filter(before__isnull=False).values_list("pk", "before"))
    if not before:
        return {}
    there = ArtifactVersion.objects.filter(removed_at__isnull=True).only("artifact", "version", "partitions")
    versions = there.in_bulk(before.values())
    return {alias: versions[version] for alias, version in before.items() if version in versions}
