"""Versions that turned out bad: queries pass them over unless asked, whatever names them stays."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from artifacts.exceptions import FailedPrecondition, InvalidArgument
from artifacts.happenings import QUARANTINED, RELEASED, Kind, happened
from artifacts.models import ArtifactVersion, Happening
from artifacts.wire import check_text
from audit.record import record

MAX_REASON = 10_000


def quarantine(version: ArtifactVersion, *, actor: str, reason: str, cause: Happening | None = None) -> bool:
    """From now on queries and `latest` pass the version over. False: they did. InvalidArgument without a reason."""
    if not reason.strip() or len(reason) > MAX_REASON:
        raise InvalidArgument(f"say why {version.version} is quarantined, in at most {MAX_REASON} characters")
    check_text(reason, "the reason")
    with transaction.atomic():
        rows = ArtifactVersion.objects.filter(pk=version.pk, quarantined_at__isnull=True)
        if not rows.update(quarantined_at=timezone.now()):
            return False
        _note(version, QUARANTINED, "version.quarantine", actor=actor, reason=reason, cause=cause)
    return True


def release(version: ArtifactVersion, *, actor: str, reason: str) -> None:
    """Queries find it again. FailedPrecondition when it is not quarantined."""
    check_text(reason, "the reason")
    with transaction.atomic():
        rows = ArtifactVersion.objects.filter(pk=version.pk, quarantined_at__isnull=False)
        if version.is_shadow:
            raise FailedPrecondition(f"{version} is the output of a run beside production: it is passed over for ever")
        if not rows.update(quarantined_at=None):
            raise FailedPrecondition(f"{version} is not quarantined")
        _note(version, RELEASED, "version.release", actor=actor, reason=reason[:MAX_REASON], cause=None)


def _note(version: ArtifactVersion, kind: Kind, verb: str, *, actor: str, reason: str, cause: Happening | None) -> None:
    happened(kind, actor=actor, version=version, detail={"reason": reason}, cause=cause)
    place = {"project": version.artifact.project, "domain": version.artifact.domain}
    record(actor, verb, version, project=place["project"], domain=place["domain"], detail={"reason": reason})
