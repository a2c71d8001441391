"""Finding versions: the newest one that a query asks for, and why there is none."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from django.db import connection
from django.db.models import Max, Min, QuerySet
from flyteidl.core import artifact_id_pb2

from artifacts.exceptions import CausewayError, InvalidArgument, NotFound, QueryUnresolved
from artifacts.governance.standing import NOT_BLOCKED, passing, standing_of
from artifacts.models import Artifact, ArtifactVersion, Partition
from artifacts.partition_values import called, digest_of, read_called
from artifacts.partitions import format_time, truncate
from artifacts.wanted import Inputs, Wanted, read_query

NEWEST_FIRST = ("-created_at", "-id")
LATEST = "latest"  # names the newest version wherever an alias may stand; nothing else can be called so
RECENT = 200  # versions looked through before partitions are, when a query leaves keys open
SEEN = 20  # partition values named in an explanation
PLACES = 200  # projects and domains that are looked through for an artifact of the same name
MayRead = Callable[[str, str], bool]  # project, domain
SAMPLE = 5_000  # partitions that are looked through for them


def newest_first(rows: QuerySet[ArtifactVersion]) -> QuerySet[ArtifactVersion]:
    """What "newest" and `latest` mean everywhere: by publication, of those neither removed nor quarantined."""
    return rows.filter(removed_at__isnull=True, quarantined_at__isnull=True).order_by(*NEWEST_FIRST)


def newest_of(artifact: Artifact) -> ArtifactVersion | None:
    return newest_first(ArtifactVersion.objects.filter(artifact=artifact).defer("terms")).first()


def newest_of_partition(version: ArtifactVersion) -> ArtifactVersion | None:
    """The newest with the partitions and time partition of the version: what "latest" means of one that has some."""
    same = ArtifactVersion.objects.filter(
        artifact_id=version.artifact_id,
        partition_digest=version.partition_digest,
        time_partition=version.time_partition,
    )
    return newest_first(same.defer("terms")).first()


class Resolution(NamedTuple):
    version: ArtifactVersion  # with its artifact
    explanation: str  # why this one, for people


def resolve_query(
    query: artifact_id_pb2.ArtifactQuery,
    *,
    project: str,
    domain: str,
    inputs: Inputs,
    trigger: ArtifactVersion | None = None,
    may_read: MayRead | None = None,
) -> Resolution:
    """The newest version that matches. QueryUnresolved says what exists instead; InvalidArgument: it can never match.

    A query that names no project or domain means the caller's. `may_read` is of who reads the explanation: see find.
    """
    if query.WhichOneof("identifier") == "binding" and trigger is not None:
        return Resolution(trigger, "the triggering version")
    wanted = read_query(query, project=project, domain=domain, inputs=inputs, trigger=trigger)
    return find(wanted, may_read=may_read)


def satisfies(
    version: ArtifactVersion,
    query: artifact_id_pb2.ArtifactQuery,
    *,
    project: str,
    domain: str,
    inputs: Inputs,
    trigger: ArtifactVersion | None = None,
) -> bool:
    """Whether the version is one that the query could mean (not necessarily the newest)."""
    return matches(version, read_query(query, project=project, domain=domain, inputs=inputs, trigger=trigger))


def matches(version: ArtifactVersion, wanted: Wanted) -> bool:
    wanted = _plain(wanted)
    artifact = version.artifact
    if artifact.key != (wanted.project, wanted.domain, wanted.name):
        return False
    moment = wanted.time_partition
    return (
        wanted.version in ("", version.version)
        and version.removed_at is None
        and (not wanted.passed or standing_of(version.pk).passed)
        and all(version.partitions.get(key) == value for key, value in wanted.partitions.items())
        and (moment is None or version.time_partition == truncate(moment, artifact.granularity))
        and _in_range(version, wanted)
        and (not wanted.alias or _is_called(version, wanted))
    )


def _is_called(version: ArtifactVersion, wanted: Wanted) -> bool:
    if wanted.alias == LATEST:
        return find(wanted).version.pk == version.pk
    return version.aliases.filter(name=wanted.alias).exists()


def broken_by(version: ArtifactVersion, wanted: Wanted) -> str:
    """What was asked for, in words, where the version is none that the query could find; empty where it is one.

    An older one than the newest is one.
    """
    wanted = _plain(wanted)
    if wanted.alias == LATEST:
        wanted = replace(wanted, alias="")
    try:
        if matches(version, wanted):
            return ""
    except CausewayError:  # an alias that names nothing is asked for all the same
        pass
    name = f"{wanted.name}:{wanted.alias}" if wanted.alias else wanted.name
    conditions = wanted.conditions()
    return f"{name} with {conditions}" if conditions else name


def _in_range(version: ArtifactVersion, wanted: Wanted) -> bool:
    at = version.time_partition
    return (
        (wanted.time_from is None or (at is not None and at >= wanted.time_from))
        and (wanted.time_before is None or (at is not None and at < wanted.time_before))
        and (wanted.created_before is None or version.created_at < wanted.created_before)
    )


def find(wanted: Wanted, *, may_read: MayRead | None = None) -> Resolution:
    """The newest version that is wanted; errors as for resolve_query.

    Where else an artifact of that name exists is told of places that `may_read` allows, else of the same project.
    """
    wanted = _plain(wanted)
    artifact = Artifact.objects.filter(project=wanted.project, domain=wanted.domain, name=wanted.name).first()
    if artifact is None:
        raise QueryUnresolved(_explain_no_artifact(wanted, may_read))
    check_keys(artifact, wanted)
    if wanted.time_partition is not None:
        wanted = replace(wanted, time_partition=truncate(wanted.time_partition, artifact.granularity))
    version = _lookup(artifact, wanted)
    if version is None:
        raise QueryUnresolved(_explain_no_version(artifact, wanted))
    version.artifact = artifact
    return Resolution(version, _explain(artifact, wanted))


def _plain(wanted: Wanted) -> Wanted:
    """`@latest` is no version's name, so it can only mean `:latest`."""
    return replace(wanted, version="", alias=wanted.alias or LATEST) if wanted.version == LATEST else wanted


def check_keys(artifact: Artifact, wanted: Wanted) -> None:
    """InvalidArgument when the artifact has no such partition, so that no version can ever match."""
    unknown = sorted(set(wanted.partitions) - set(artifact.partition_keys))
    if unknown:
        raise InvalidArgument(
            f"{artifact.name} has no partition {', '.join(unknown)}; its partition keys: "
            f"{', '.join(artifact.partition_keys) or 'none'}"
        )
    for key, value in wanted.partitions.items():
        if "\x00" in value:
            raise InvalidArgument(f"the value of partition '{key}' holds a NUL character: no version can have it")
    if not artifact.granularity and (wanted.time_partition or wanted.time_from or wanted.time_before):
        raise InvalidArgument(f"{artifact.name} is not time partitioned, but the query asks for a time partition")


def _lookup(artifact: Artifact, wanted: Wanted) -> ArtifactVersion | None:
    if wanted.version or wanted.alias not in ("", LATEST):
        version = _named(artifact, wanted)
        if version is None:
            return None
        version.artifact = artifact
        return version if matches(version, replace(wanted, alias="")) else None
    if 0 < len(wanted.partitions) < len(artifact.partition_keys):
        return _newest_of_some_keys(artifact, wanted)
    found = candidates(artifact, wanted)
    return (found.order_by(*NEWEST_FIRST) if wanted.quarantined else newest_first(found)).first()


def _named(artifact: Artifact, wanted: Wanted) -> ArtifactVersion | None:
    if wanted.version:
        return ArtifactVersion.objects.filter(artifact=artifact, version=wanted.version).first()
    return _aliased(artifact, wanted.alias, wanted.partitions)


def _aliased(artifact: Artifact, alias: str, partitions: Mapping[str, str]) -> ArtifactVersion | None:
    """The version that the alias names, for these partition values where it is kept per partition."""
    rows = ArtifactVersion.objects.filter(
        artifact=artifact, aliases__name=alias, aliases__partitions__contained_by=dict(partitions)
    )
    return rows.defer("terms").first()


def _kept_per(artifact: Artifact, alias: str, partitions: Mapping[str, str]) -> str:
    """Which partition values tell the version that the alias names, where these do not; else empty."""
    pointer = artifact.aliases.filter(name=alias).values_list("partitions", flat=True).order_by("pk").first()
    if not pointer or not pointer.keys() - partitions.keys():
        return ""
    example = called(alias, {**pointer, **partitions})
    return f"'{alias}' of {artifact.name} is kept per {', '.join(sorted(pointer))}: ask for one, as in {example}"


def candidates(artifact: Artifact, wanted: Wanted) -> QuerySet[ArtifactVersion]:
    """All versions with the wanted partitions and times.

    Each restriction has an index that begins with the artifact.
    """
    found = ArtifactVersion.objects.filter(artifact=artifact, removed_at__isnull=True)
    if wanted.partitions:
        if len(wanted.partitions) == len(artifact.partition_keys):
            found = found.filter(partition_digest=digest_of(wanted.partitions))
        else:
            found = found.filter(partitions__contains=dict(wanted.partitions))
    if wanted.time_partition is not None:
        found = found.filter(time_partition=truncate(wanted.time_partition, artifact.granularity))
    if wanted.time_from is not None:
        found = found.filter(time_partition__gte=wanted.time_from)
    if wanted.time_before is not None:
        found = found.filter(time_partition__lt=wanted.time_before)
    if wanted.created_before is not None:
        found = found.filter(created_at__lt=wanted.created_before)
    if wanted.passed:
        found = passing(found)
    return found if wanted.quarantined else found.filter(quarantined_at__isnull=True)


_AMONG_RECENT = """
    SELECT id FROM (
        SELECT id, partitions, time_partition FROM artifacts_artifactversion
        WHERE artifact_id = %(artifact)s AND removed_at IS NULL {standing} {created}
        ORDER BY created_at DESC, id DESC LIMIT %(recent)s
    ) AS recent WHERE partitions @> %(partitions)s {time} LIMIT 1
"""
_NEWEST_OF_EACH_PARTITION = """
    SELECT newest.id FROM artifacts_partition AS part
    CROSS JOIN LATERAL (
        SELECT id, created_at FROM artifacts_artifactversion
        WHERE artifact_id = part.artifact_id AND partition_digest = part.digest AND removed_at IS NULL
          {standing} {created} {time}
        ORDER BY created_at DESC, id DESC LIMIT 1
    ) AS newest
    WHERE part.artifact_id = %(artifact)s AND part.values @> %(partitions)s
    ORDER BY newest.created_at DESC, newest.id DESC LIMIT 1
"""


_SEEN_VALUES = """
    SELECT DISTINCT sample.values ->> %(key)s FROM (
        SELECT values FROM artifacts_partition WHERE artifact_id = %(artifact)s ORDER BY digest LIMIT %(sample)s
    ) AS sample WHERE sample.values ? %(key)s ORDER BY 1 LIMIT %(limit)s
"""


def _newest_of_some_keys(artifact: Artifact, wanted: Wanted) -> ArtifactVersion | None:
    """Frequent values turn up among the recent versions; rare ones have few partitions, each with a newest version.

    Either way a few index look-ups, however many versions there are, and nothing left to the planner's guess.
    """
    moment = wanted.time_partition
    times: dict[str, datetime | None] = {
        "time_partition = %(time_partition)s": moment and truncate(moment, artifact.granularity),
        "time_partition >= %(time_from)s": wanted.time_from,
        "time_partition < %(time_before)s": wanted.time_before,
    }
    asked: dict[str, int | str | datetime | None] = {
        "artifact": artifact.pk,
        "recent": RECENT,
        "partitions": json.dumps(dict(wanted.partitions)),
        "created_before": wanted.created_before,
        "time_partition": times["time_partition = %(time_partition)s"],
        "time_from": wanted.time_from,
        "time_before": wanted.time_before,
    }
    created = "AND created_at < %(created_before)s" if wanted.created_before is not None else ""
    time = " ".join(f"AND {condition}" for condition, value in times.items() if value is not None)
    with connection.cursor() as cursor:
        for sql in (_AMONG_RECENT, _NEWEST_OF_EACH_PARTITION):
            cursor.execute(sql.format(created=created, time=time, standing=_standing(wanted)), asked)
            if row := cursor.fetchone():
                return ArtifactVersion.objects.get(pk=row[0])
    return None


def _standing(wanted: Wanted) -> str:
    """What a query asks of quarantine and checks, as SQL about `artifacts_artifactversion`."""
    quarantined = "" if wanted.quarantined else "AND quarantined_at IS NULL"
    return f"{quarantined} AND {NOT_BLOCKED}" if wanted.passed else quarantined


def _explain(artifact: Artifact, wanted: Wanted) -> str:
    if wanted.version:
        return f"version {wanted.version} of {artifact.name}"
    what = f"what '{wanted.alias}' names" if wanted.alias not in ("", LATEST) else "the newest version"
    conditions = wanted.conditions()
    return f"{what} of {artifact.name}" + (f" with {conditions}" if conditions else "")


def _explain_no_artifact(wanted: Wanted, may_read: MayRead | None = None) -> str:
    where = f"{wanted.project}/{wanted.domain}"
    places = Artifact.objects.filter(name=wanted.name).order_by("project", "domain").values_list("project", "domain")
    elsewhere = [
        f"{project}/{domain}"
        for project, domain in places[:PLACES]
        if (may_read(project, domain) if may_read is not None else project == wanted.project)
    ]
    if elsewhere:
        return f"there is no artifact '{wanted.name}' in {where}; it exists in {', '.join(elsewhere[:SEEN])}"
    return f"there is no artifact '{wanted.name}' in {where}"


def _explain_no_version(artifact: Artifact, wanted: Wanted) -> str:
    name = artifact.name
    if wanted.version:
        named = ArtifactVersion.objects.filter(artifact=artifact, version=wanted.version).first()
        if named is not None and named.removed_at is not None:
            return f"version {wanted.version} of {name} was removed {format_time(named.removed_at)}: its data is gone"
        if named is not None:
            return f"version {wanted.version} of {name} does not have {wanted.conditions()}"
        return f"{name} has no version '{wanted.version}'"
    if wanted.alias not in ("", LATEST):
        if said := _kept_per(artifact, wanted.alias, wanted.partitions):
            return said
        aliases = list(artifact.aliases.order_by("name").values_list("name", flat=True).distinct()[:SEEN])
        if wanted.alias in aliases:
            if artifact.aliases.filter(name=wanted.alias).exclude(partitions={}).exists():
                return f"'{wanted.alias}' of {name} names no version for {wanted.conditions()}"
            return f"the version that '{wanted.alias}' names of {name} does not have {wanted.conditions()}"
        return f"{name} has no alias '{wanted.alias}'; aliases: {', '.join([LATEST, *aliases])}"
    conditions = wanted.conditions()
    if not conditions:
        return f"{name} has no version yet"
    said = f"{name} has no version with {conditions}"
    hints = [*_seen_values(artifact, wanted.partitions), *_seen_times(artifact, wanted)]
    return "; ".join([said, *hints])


def _seen_values(artifact: Artifact, partitions: Mapping[str, str]) -> list[str]:
    """For each key whose value never occurred, the values that did; if all occurred, but never together, that."""
    hints = []
    for key in sorted(partitions):
        seen = seen_partition_values(artifact, key, limit=SEEN + 1)
        if not seen:
            return ["it has no version yet"]
        if partitions[key] not in seen and not _occurs(artifact, key, partitions[key]):
            more = ", ..." if len(seen) > SEEN else ""
            hints.append(f"{key}s seen: {', '.join(seen[:SEEN])}{more}")
    if not hints and len(partitions) > 1:
        hints.append("each value occurs, but not together")
    return hints


def _occurs(artifact: Artifact, key: str, value: str) -> bool:
    return Partition.objects.filter(artifact=artifact, values__contains={key: value}).exists()


def seen_partition_values(artifact: Artifact, key: str, *, limit: int) -> list[str]:
    """The values a partition key has had, in order.

    Of an artifact with more partitions than SAMPLE those of so many of them, taken by their digests: at random, so that
    only rare values are missed.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SEEN_VALUES, {"artifact": artifact.pk, "key": key, "sample": SAMPLE, "limit": limit})
        return [value for (value,) in cursor.fetchall()]


def _seen_times(artifact: Artifact, wanted: Wanted) -> list[str]:
    if wanted.time_partition is None and wanted.time_from is None and wanted.time_before is None:
        return []
    span = ArtifactVersion.objects.filter(artifact=artifact).aggregate(Min("time_partition"), Max("time_partition"))
    first, last = span["time_partition__min"], span["time_partition__max"]
    return [f"time partitions seen: {format_time(first)} to {format_time(last)}"] if first and last else []


def get_artifact(project: str, domain: str, name: str) -> Artifact:
    """By name; NotFound says where else the name exists."""
    artifact = Artifact.objects.filter(project=project, domain=domain, name=name).first()
    if artifact is None:
        raise NotFound(_explain_no_artifact(Wanted(project, domain, name)))
    return artifact


def version_called(artifact: Artifact, name: str) -> ArtifactVersion | None:
    """What somebody means who names a version of the artifact by one word: `latest`, an alias, or a version.

    An alias that is kept per partition is asked for as `champion?region=SEA`; InvalidArgument where it does not say
    which. In this order: whoever publishes chooses what a version is called, but not whom an alias names. A version
    whose data was removed is found by its own name alone.
    """
    word, partitions = read_called(name)
    if partitions:
        check_keys(artifact, Wanted(*artifact.key, partitions=partitions))
    if name == LATEST:
        found = newest_of(artifact)
    else:
        rows = ArtifactVersion.objects.filter(artifact=artifact).defer("terms")
        found = _aliased(artifact, word, partitions)
        if found is not None and partitions.items() - found.partitions.items():
            return None
        found = found or rows.filter(version=name).first()
        if found is None and (said := _kept_per(artifact, word, partitions)):
            raise InvalidArgument(said)
    if found is not None:
        found.artifact = artifact
    return found


def get_version(project: str, domain: str, name: str, version: str) -> ArtifactVersion:
    """As version_called. NotFound says what exists instead."""
    artifact = get_artifact(project, domain, name)
    found = version_called(artifact, version)
    if found is None:
        raise NotFound(f"{name} has no version or alias '{version}' in {project}/{domain}")
    return found
