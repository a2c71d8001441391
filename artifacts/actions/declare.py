"""Declaring artifacts: the first version of a name fixes its partition keys and granularity."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from artifacts.actions.waiting import MAY_ASK
from artifacts.arrays import column_of
from artifacts.declarations import Declaration, Key
from artifacts.exceptions import InvalidArgument
from artifacts.models import Artifact, Granularity, Kind
from artifacts.prepared import prepared
from artifacts.written_out import row_of, selection

NewPlace = Callable[[str, str], None]  # raises for a project and domain where no artifact may be begun


def declare(
    wanted: Sequence[tuple[Declaration, Kind]], *, new_place: NewPlace | None = None, asking: bool = False
) -> dict[Key, Artifact]:
    """The artifacts of these declarations, made on first use, where `new_place` allows it.

    InvalidArgument when one was declared differently before. `asking`: whether anything waits for versions that are
    inserted in this transaction may be asked by their insertion (artifacts.actions.waiting).
    """
    keys = {declaration.key for declaration, _ in wanted}
    found = artifacts_of(keys, asking=asking)
    missing = {d.key: (d, kind) for d, kind in wanted if d.key not in found}
    if missing:
        if new_place is not None:
            for project, domain in sorted({key[:2] for key in missing}):
                new_place(project, domain)
        Artifact.objects.bulk_create(
            [
                Artifact(
                    project=d.key[0],
                    domain=d.key[1],
                    name=d.key[2],
                    kind=kind,
                    partition_keys=list(d.partition_keys),
                    granularity=d.granularity,
                )
                for d, kind in sorted(missing.values())
            ],
            ignore_conflicts=True,  # somebody else may have published first: then theirs is the declaration
        )
        found |= artifacts_of(set(missing), asking=asking)
    for declaration, _ in wanted:
        _check_declared(declaration, found[declaration.key])
    return found


# Asked with every publication, so it is not put together by the ORM each time, which costs four times what it does.
_OF_KEYS = """
    SELECT {columns}, EXISTS (SELECT FROM artifacts_alias WHERE artifact_id = artifact.id),
        EXISTS (SELECT FROM artifacts_checkrule WHERE artifact_id = artifact.id), {asks}
    FROM unnest(%s::text[], %s::text[], %s::text[]) AS wanted(project, domain, name)
    JOIN artifacts_artifact AS artifact USING (project, domain, name)
"""


def artifacts_of(keys: Iterable[Key], *, asking: bool = False) -> dict[Key, Artifact]:
    selected = selection(Artifact, of="artifact")
    columns = [column_of(column) for column in zip(*keys, strict=True)] or ["{}"] * 3
    with prepared() as cursor:
        cursor.execute(_OF_KEYS.format(columns=selected.columns, asks=MAY_ASK if asking else "false"), columns)
        rows = cursor.fetchall()
    found = {}
    for values in rows:
        artifact = row_of(Artifact, selected, values)
        artifact.has_aliases, artifact.has_checks, artifact.asks = values[-3:]
        found[artifact.key] = artifact
    return found


def _check_declared(declaration: Declaration, artifact: Artifact) -> None:
    if set(declaration.partition_keys) != set(artifact.partition_keys):
        raise InvalidArgument(
            f"{artifact.name} is declared with partition keys {_list(artifact.partition_keys)} in "
            f"{artifact.project}/{artifact.domain}, not with {_list(declaration.partition_keys)}: "
            f"keys are fixed by the first "
            "version"
        )
    if declaration.granularity != artifact.granularity:
        raise InvalidArgument(
            f"{artifact.name} is declared with time partitions by {_granularity(artifact.granularity)} in "
            f"{artifact.project}/{artifact.domain}, not by {_granularity(declaration.granularity)}: "
            f"that is fixed by the "
            "first version"
        )


def _list(keys: Iterable[str]) -> str:
    return ", ".join(sorted(keys)) or "(none)"


def _granularity(value: int) -> str:
    return Granularity(value).name.lower() if value else "nothing (not time partitioned)"
