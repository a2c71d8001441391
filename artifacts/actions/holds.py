"""Legal holds and pins: what keeps versions from being removed because somebody says so."""

from __future__ import annotations

from collections.abc import Collection

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from artifacts.actions.holding import hold, lock_holds
from artifacts.exceptions import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from artifacts.models import Artifact, ArtifactVersion, Hold
from audit.record import record

MAX_REASON = 2000  # characters
LEGAL, PIN = Hold.Kind.LEGAL, Hold.Kind.PIN


def set_hold(
    kind: Hold.Kind, *, artifact: Artifact, version: ArtifactVersion | None = None, reason: str, actor: str
) -> Hold:
    """Keep the version, or with a legal hold all of the artifact, those to come too. It needs a reason.

    FailedPrecondition for a version that was removed, AlreadyExists where it is held so already.
    """
    if not reason.strip() or len(reason) > MAX_REASON:
        raise InvalidArgument(f"reason: say why it must stay, in 1 to {MAX_REASON} characters")
    if kind == PIN and version is None:
        raise InvalidArgument("a pin is of one version; a legal hold may be of a whole artifact")
    try:
        with transaction.atomic():
            if version is None:
                lock_holds([artifact.pk], changing=True)
            elif not hold([version.pk]):
                raise FailedPrecondition(f"{version} was removed: there is nothing to keep")
            row = Hold.objects.create(
                kind=kind, artifact=artifact, version=version, reason=reason, set_by=actor, set_at=timezone.now()
            )
            _record(actor, f"hold.{kind}", row, reason)
    except IntegrityError:
        raise AlreadyExists(f"{version or artifact} is held so already") from None
    return row


def release(row: Hold, *, reason: str = "", actor: str) -> Hold:
    """Let it go again; a legal hold with a reason. NotFound for one that was released before."""
    if row.kind == LEGAL and not reason.strip():
        raise InvalidArgument("reason: a legal hold is released with a reason")
    if len(reason) > MAX_REASON:
        raise InvalidArgument(f"reason: at most {MAX_REASON} characters")
    row.released_at, row.released_by, row.release_reason = timezone.now(), actor, reason
    values = {"released_at": row.released_at, "released_by": actor, "release_reason": reason}
    with transaction.atomic():
        if not Hold.objects.filter(pk=row.pk, released_at__isnull=True).update(**values):
            raise NotFound(f"hold {row.pk} was released before")
        _record(actor, f"hold.{row.kind}.release", row, reason)
    return row


def _record(actor: str, verb: str, row: Hold, reason: str) -> None:
    of = row.artifact
    record(actor, verb, row.version or of, project=of.project, domain=of.domain, detail={"reason": reason})


def held(versions: Collection[int]) -> dict[int, list[Hold]]:
    """By version the holds that keep it, legal ones first. Two queries."""
    artifacts = dict(ArtifactVersion.objects.filter(pk__in=versions).values_list("pk", "artifact_id"))
    rows = Hold.objects.filter(released_at__isnull=True).filter(
        Q(version__in=artifacts) | Q(version__isnull=True, artifact__in=set(artifacts.values()))
    )
    found: dict[int, list[Hold]] = {}
    for row in rows.order_by("kind", "pk"):
        of_artifact = (pk for pk, artifact in artifacts.items() if artifact == row.artifact_id)
        for pk in of_artifact if row.version_id is None else (row.version_id,):
            found.setdefault(pk, []).append(row)
    return found


def words_of(row: Hold) -> str:
    """Why it stays, for people."""
    what = "a legal hold" if row.kind == LEGAL else "a pin"
    return f"{what} of {row.set_by} keeps it: {row.reason}"
