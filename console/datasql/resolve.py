"""From references to versions that the reader may read, and to the objects that hold their data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from artifacts.exceptions import InvalidArgument, QueryUnresolved
from artifacts.models import ArtifactVersion
from artifacts.partitions import parse_time
from artifacts.queries import candidates, check_keys, find, newest_first
from artifacts.store import store
from artifacts.wanted import Wanted
from console.access_objects import access_artifact, check_present
from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import User
from console.datasql.parse import Reference

MAX_FILES = 400
MOST_VERSIONS, VERSIONS = 200, 100  # of artifacts(...), and unless `newest` says how many
_TIMES = ("time_partition", "time_from", "time_before", "created_before")
_OTHERS = ("version", "alias", "project", "domain")


@dataclass(frozen=True)
class Source:
    """A version's files, and what its rows are marked with where there are several versions."""

    version: ArtifactVersion
    uris: tuple[str, ...]
    bytes: int


@dataclass(frozen=True)
class Table:
    sources: tuple[Source, ...]
    many: bool


def resolve(references: Mapping[str, Reference], *, user: User, project: str, domain: str) -> dict[str, Table]:
    """Of each table its sources. NotFound, QueryUnresolved and InvalidArgument, as look-ups raise them."""
    tables = {}
    files = 0
    for name, reference in references.items():
        versions = _versions(reference, user=user, project=project, domain=domain)
        sources = tuple(_source(version) for version in versions)
        files += sum(len(source.uris) for source in sources)
        if files > MAX_FILES:
            raise InvalidArgument(f"the query reads more than {MAX_FILES} files: name fewer versions")
        tables[name] = Table(sources, reference.many)
    return tables


def _versions(reference: Reference, *, user: User, project: str, domain: str) -> list[ArtifactVersion]:
    said = dict(reference.keywords)
    where = said.pop("project", project), said.pop("domain", domain)
    times: dict[str, datetime] = {key: parse_time(said.pop(key)) for key in _TIMES if key in said}
    newest = _count(said.pop("newest", str(VERSIONS))) if reference.many else 1
    named = {key: said.pop(key) for key in ("version", "alias") if key in said}
    if "newest" in said:
        raise InvalidArgument("newest := N is for artifacts(...); artifact(...) is one version")
    access.require_found(user, Action.READ, *where, what=f"artifact {'/'.join(where)}/{reference.name}")
    wanted = replace(Wanted(*where, reference.name, partitions=said), **named, **times)  # type: ignore[arg-type]
    if not reference.many:
        return [find(wanted, may_read=access.may_read(user)).version]
    if named:
        raise InvalidArgument("artifacts(...) takes no version or alias: artifact(...) is one version")
    artifact = access_artifact(user, *where, reference.name)
    check_keys(artifact, wanted)
    found = list(newest_first(candidates(artifact, wanted)).defer("terms", "card", "metadata")[:newest])
    if not found:
        raise QueryUnresolved(f"{reference.name} has no version with {wanted.conditions() or 'any partitions'}")
    for version in found:
        version.artifact = artifact
    return found


def _count(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) <= MOST_VERSIONS:
        raise InvalidArgument(f"newest is a number from 1 to {MOST_VERSIONS}, not {text}")
    return int(text)


def _source(version: ArtifactVersion) -> Source:
    """Files whose names begin with a dot or underscore are marks of whoever wrote the rest, not data."""
    check_present(version)
    objects, uri = store(), version.uri.rstrip("/")
    if not uri or not objects.contains(uri):
        raise InvalidArgument(f"{version} is no table: its data is {'elsewhere' if uri else 'a plain value'}")
    if objects.exists(uri):
        return Source(version, (uri,), objects.size(uri))
    data = (each for each in objects.list(uri) if not each.uri.rpartition("/")[2].startswith((".", "_")))
    found = list(islice(data, MAX_FILES + 1))
    if not found:
        raise InvalidArgument(f"{version} has no files")
    return Source(version, tuple(sorted(each.uri for each in found)), sum(each.size for each in found))
