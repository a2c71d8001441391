"""Which checks versions fail, for lists of them."""

from __future__ import annotations

from django.db.models import Prefetch

from artifacts.models import ArtifactVersion, CheckResult, CheckStatus, Severity


def with_failures() -> Prefetch[str]:
    """For rows of versions: the checks that each fails, as `failures`. One query for all of them."""
    rows = CheckResult.objects.filter(status=CheckStatus.FAILED).only("version", "name", "severity").order_by("name")
    return Prefetch("check_results", queryset=rows, to_attr="failures")


def failures_of(version: ArtifactVersion) -> list[CheckResult]:
    """Those that block first; none of a version that was not read with them."""
    found: list[CheckResult] = getattr(version, "failures", [])
    return sorted(found, key=lambda one: one.severity != Severity.BLOCK)
