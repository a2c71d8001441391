"""Whether the checks let a version pass: none that blocks failed, and none of them is still to be judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet

from artifacts.models import ArtifactVersion, CheckResult, CheckStatus, Severity

_STANDING = """
    SELECT name, status, message FROM artifacts_checkresult
    WHERE version_id = %s AND severity = 'block' AND status <> 'passed' ORDER BY status, name
"""


@dataclass(frozen=True)
class Standing:
    """What keeps a version from having passed its checks: those that failed, and those nobody judged yet."""

    failed: Sequence[str]
    pending: Sequence[str]

    @property
    def passed(self) -> bool:
        return not self.failed and not self.pending

    def said(self) -> str:
        if self.failed:
            return f"did not pass its checks: {'; '.join(self.failed)}"
        return f"waits for the checks {', '.join(self.pending)}" if self.pending else "passed its checks"


def standing_of(version_id: int) -> Standing:
    """One query, by the index of what blocks."""
    with connection.cursor() as cursor:
        cursor.execute(_STANDING, [version_id])
        rows = cursor.fetchall()
    failures = [f"{name} ({message})" if message else name for name, status, message in rows if status == "failed"]
    return Standing(failures, [name for name, status, _ in rows if status == "pending"])


# Of versions in a statement that calls them `artifacts_artifactversion`: the index of what blocks answers it.
NOT_BLOCKED = """NOT EXISTS (
    SELECT 1 FROM artifacts_checkresult AS result
    WHERE result.version_id = artifacts_artifactversion.id AND result.severity = 'block' AND result.status <> 'passed'
)"""


def passing(rows: QuerySet[ArtifactVersion]) -> QuerySet[ArtifactVersion]:
    """Those of the versions that no check blocks."""
    blocking = CheckResult.objects.filter(severity=Severity.BLOCK, version=OuterRef("pk"))
    return rows.filter(~Exists(blocking.exclude(status=CheckStatus.PASSED)))
