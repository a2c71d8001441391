"""Facts as rows: what happened, written in the transaction of the fact, and what follows from it.

Each kind is registered once, by the module whose actions make it happen (`register`). Who wants something to follow
says so beside it (`follow`); scheduler.happenings does it after the commit, exactly once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, TypedDict

from django.db import connection
from django.dispatch import Signal
from django.utils import timezone

from artifacts.arrays import column_of
from artifacts.models import Artifact, ArtifactVersion, Happening
from artifacts.prepared import prepared

if TYPE_CHECKING:
    from typing_extensions import Unpack

MAX_NAME = 255
COLUMNS = (
    *("kind", "at", "project", "domain", "subject", "artifact_id", "version_id", "execution_key", "name", "actor"),
    *("cause_id", "detail", "key", "handled_at"),
)
recorded = Signal()  # sent with `ids` of happenings that something follows from, inside their transaction
Consequence = Callable[[Happening], datetime | None]


@dataclass(frozen=True)
class Kind:
    """A kind of happening: `alias.moved`. `words` says it in the past tense, for lists, behind its subject."""

    name: str
    words: str
    consequences: list[Consequence] = field(default_factory=list, compare=False)


KINDS: dict[str, Kind] = {}


def register(name: str, words: str) -> Kind:
    """A kind of happening, known from now on. ValueError for a second one of the same name."""
    if name in KINDS:
        raise ValueError(f"there is a kind of happening {name!r} already")
    KINDS[name] = Kind(name, words)
    return KINDS[name]


def follow(kind: Kind) -> Callable[[Consequence], Consequence]:
    """Decorates what follows from happenings of a kind.

    Called with the happening after its commit, in a transaction of its own that also notes the happening as handled: it
    takes effect once. It may return when it wants to be called once more; one that raises is undone and called again,
    a few times (scheduler.happenings). It must not talk to anything but the database.
    """

    def decorate(consequence: Consequence) -> Consequence:
        if consequence not in kind.consequences:
            kind.consequences.append(consequence)
        return consequence

    return decorate


PUBLISHED = register("version.published", "was published")
REMOVED = register("version.removed", "was removed")
EXPIRED = register("version.expired", "was let go by its retention policy")
ALIAS_MOVED = register("alias.moved", "was moved")
ALIAS_REMOVED = register("alias.removed", "was removed")
CHECK_ASKED = register("check.asked", "was asked")
CHECK_WITHDRAWN = register("check.withdrawn", "was taken away before it said anything")
CHECK_PASSED = register("check.passed", "passed")
CHECK_FAILED = register("check.failed", "failed")
VERSION_APPROVED = register("version.approved", "was approved")
VERSION_REJECTED = register("version.rejected", "was rejected")
FALLEN_BACK = register("alias.fallen_back", "fell back")
STRANDED = register("alias.stranded", "found no version to fall back to")
QUARANTINED = register("version.quarantined", "was quarantined")
RELEASED = register("version.released", "was released from quarantine")
APPROVED = register("gate.approved", "was approved")
REJECTED = register("gate.rejected", "was rejected")
VOIDED = register("gate.voided", "does not count any more")


class About(TypedDict, total=False):
    """What a happening is about. `place` (project, domain) and `subject` are the version's or the artifact's where
    these are given; `detail` is JSON-able; `at`: now.
    """

    version: ArtifactVersion | None
    artifact: Artifact | None
    subject: str
    place: tuple[str, str]
    execution_key: str
    name: str  # of the alias, the check, the signal
    cause: Happening | None
    detail: Mapping[str, object]
    at: datetime | None


def happened(kind: Kind, *, actor: str, key: str | None = None, **about: Unpack[About]) -> Happening | None:
    """Write that something happened, in the caller's transaction, which must be that of the fact.

    `key`: None is returned, and nothing written, where a happening of that key is there already.
    """
    row = a_happening(kind, actor=actor, **about)
    row.key = key
    return write([row])[0] if key is None or _claim(key) else None


def a_happening(kind: Kind, *, actor: str, **about: Unpack[About]) -> Happening:
    """The row that `happened` writes, for whoever writes many at once (`write`)."""
    now, version = timezone.now(), about.get("version")
    artifact = version.artifact if version is not None else about.get("artifact")
    execution_key = about.get("execution_key", "")
    project, domain = about.get("place") or (artifact.key[:2] if artifact is not None else ("", ""))
    return Happening(
        kind=kind.name,
        at=about.get("at") or now,
        project=project,
        domain=domain,
        subject=(about.get("subject") or str(version or artifact or execution_key))[:700],
        artifact=artifact,
        version=version,
        execution_key=execution_key,
        name=about.get("name", "")[:MAX_NAME],
        actor=actor[:150],
        cause=about.get("cause"),
        detail=dict(about.get("detail", {})),
        handled_at=None if kind.consequences else now,
    )


def write(rows: Sequence[Happening]) -> Sequence[Happening]:
    """Several at once, as `happened` writes one."""
    if not rows:
        return rows
    values = {name: column_of(getattr(row, name) for row in rows) for name in COLUMNS if name != "detail"}
    with prepared() as cursor:
        cursor.execute(_write_sql(), {**values, "detail": column_of(json.dumps(row.detail) for row in rows)})
        written = cursor.fetchall()
    for row, (pk, _) in zip(rows, written, strict=True):
        row.pk, row._state.adding, row._state.db = pk, False, connection.alias
    if ids := [row.pk for row in rows if row.handled_at is None]:
        recorded.send(Happening, ids=ids)
    told(written)
    return rows


_TYPES = {"at": "timestamptz", "handled_at": "timestamptz", "detail": "jsonb"}


def _write_sql() -> str:
    types = ((name, _TYPES.get(name, "bigint" if name.endswith("_id") else "text")) for name in COLUMNS)
    columns = ", ".join(f"%({name})s::{kind}[]" for name, kind in types)
    source = f"SELECT * FROM unnest({columns})"  # noqa: S608 - names of columns
    return f"WITH {inserting(source)} {WRITTEN}"  # noqa: S608 - as above


WRITTEN = "SELECT fresh.id, (SELECT count(*) FROM told) FROM fresh ORDER BY fresh.id"
_NOBODY = "SELECT FROM fresh WHERE false"
_tellers: list[tuple[str, Callable[[], None]]] = []


def install_teller(sql: str, wake: Callable[[], None]) -> None:
    """Whom else rows are written for in the statement that writes happenings.

    `sql` reads `fresh`, the rows of this table just written, and returns one row for each that it wrote itself; when
    there are any, `wake` is called in the same transaction. By whoever tells people (scheduler.notifications.outbox).
    """
    _tellers[:] = [(sql, wake)]


def inserting(source: str) -> str:
    """The common table expressions `fresh` and `told` of a statement that writes happenings: `source` selects COLUMNS.

    The statement ends with WRITTEN, and its answer goes to `told`.
    """
    teller = _tellers[0][0] if _tellers else _NOBODY
    return f"""fresh AS (
        INSERT INTO artifacts_happening ({", ".join(COLUMNS)}, undone, tries)
        SELECT given.*, ARRAY[]::varchar[], 0 FROM ({source}) AS given RETURNING *
    ), told AS ({teller})"""  # noqa: S608 - names of columns, and what callers select


def told(written: Sequence[tuple[int, int]]) -> None:
    """Take the answer of a statement made by `inserting`: (key, number of rows told) for each happening."""
    if written and written[0][1]:
        for _, wake in _tellers:
            wake()


def _claim(key: str) -> bool:
    """Whether nobody wrote a happening of that key; until the end of the transaction nobody else will."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 15))", [key])
    return not Happening.objects.filter(key=key).exists()
