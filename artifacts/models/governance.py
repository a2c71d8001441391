from __future__ import annotations

from django.db import models
from django.db.models import Q

from artifacts.models.artifact import Artifact
from artifacts.models.version import ArtifactVersion


class Severity(models.TextChoices):
    """What a check that fails means."""

    WARN = "warn"  # people are told
    BLOCK = "block"  # the version does not pass: queries and triggers that demand passed checks do without it


class CheckStatus(models.TextChoices):
    PENDING = "pending"  # somebody is to say: the control plane, or who reports
    PASSED = "passed"
    FAILED = "failed"


class CheckRule(models.Model):
    """A check of an artifact: each version published from then on that has the partitions is judged by it."""

    artifact = models.ForeignKey(Artifact, on_delete=models.CASCADE, related_name="check_rules", db_index=False)
    name = models.CharField(max_length=64)
    kind = models.CharField(max_length=16)  # one of artifacts.governance.kinds.KINDS
    parameters = models.JSONField(default=dict)  # as the kind reads them
    partitions = models.JSONField(default=dict)  # only versions with these values are judged; empty: all
    severity = models.CharField(max_length=8, choices=Severity.choices, default=Severity.BLOCK)
    set_by = models.CharField(max_length=150)
    set_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["artifact", "name"], name="check_rule_unique")]

    def __str__(self) -> str:
        return f"{self.artifact} check {self.name}"


class CheckResult(models.Model):
    """What a check says of a version now; what it said before, happenings (`check.passed`, `check.failed`) tell."""

    version = models.ForeignKey(ArtifactVersion, on_delete=models.CASCADE, related_name="check_results", db_index=False)
    name = models.CharField(max_length=64)
    kind = models.CharField(max_length=16)
    severity = models.CharField(max_length=8, choices=Severity.choices)
    status = models.CharField(max_length=8, choices=CheckStatus.choices)
    message = models.TextField(blank=True, default="")
    numbers = models.JSONField(default=dict)  # {name: finite number}: what was found, and what was allowed
    evidence = models.JSONField(default=dict)  # what the judgement stood on, besides
    actor = models.CharField(max_length=150)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "name"], name="check_result_unique")]
        indexes = [
            models.Index(
                fields=["version"],
                name="check_result_blocking",
                condition=Q(severity="block") & ~Q(status="passed"),
            ),
            models.Index(fields=["status", "name", "version"], name="check_result_status"),
            # What the control plane, or a program, is still to say; what nobody reported may be any number.
            models.Index(fields=["id"], name="check_result_due", condition=Q(status="pending") & ~Q(kind="reported")),
        ]

    def __str__(self) -> str:
        return f"{self.version_id} {self.name}: {self.status}"


class VersionProfile(models.Model):
    """What the columns of a dataset hold: types, counts, percentiles, frequent values (artifacts.profiles)."""

    version = models.OneToOneField(ArtifactVersion, on_delete=models.CASCADE, related_name="profile")
    rows = models.BigIntegerField()
    columns = models.JSONField()  # [{"name", "type", "count", "distinct", "min", "max", "mean", "std", ...}]
    seconds = models.FloatField()  # that it took
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.version_id}: {self.rows} rows"


class AliasPolicy(models.Model):
    """What must hold for an alias to name a version. An alias without one is moved by whoever may decide."""

    artifact = models.ForeignKey(Artifact, on_delete=models.CASCADE, related_name="alias_policies", db_index=False)
    alias = models.CharField(max_length=64)
    rules = models.JSONField(default=dict)  # as artifacts.governance.policies reads them
    set_by = models.CharField(max_length=150)
    set_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["artifact", "alias"], name="alias_policy_unique")]
        verbose_name_plural = "alias policies"

    def __str__(self) -> str:
        return f"policy of {self.artifact}:{self.alias}"
