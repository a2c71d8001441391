from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q

from artifacts.models import ArtifactVersion
from scheduler.models.execution import Execution
from scheduler.models.registry import LaunchPlan


class Trigger(models.Model):
    """`OnArtifact` of one launch plan version: which artifact it watches, and how each input is found."""

    launch_plan = models.OneToOneField(LaunchPlan, on_delete=models.CASCADE, related_name="trigger")
    artifact_project = models.CharField(max_length=64)
    artifact_domain = models.CharField(max_length=64)
    artifact_name = models.CharField(max_length=255)
    partitions = models.JSONField(default=dict)  # only versions with these values fire; empty: any
    condition = models.BinaryField()  # the launch_conditions payload, as sent
    active = models.BooleanField(default=False)  # follows the launch plan's state, in the same transaction
    activated_at = models.DateTimeField(null=True)  # versions published before this do not fire

    class Meta:
        indexes = [
            models.Index(
                fields=["artifact_name", "artifact_project", "artifact_domain"],
                name="trigger_active",
                condition=Q(active=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.launch_plan} on {self.artifact_name}"


class FiringOutcome(models.TextChoices):
    """UNRESOLVED: an input found no version yet; tried again when one arrives. FAILED: the launch was refused."""

    FIRED = "fired"
    COALESCED = "coalesced"
    FILTERED = "filtered"
    SKIPPED = "skipped"
    WAITING = "waiting"
    UNRESOLVED = "unresolved"
    FAILED = "failed"


class TriggerFiring(models.Model):
    """The ledger: one row for each (trigger, version), with what came of it and why."""

    trigger = models.ForeignKey(Trigger, on_delete=models.PROTECT, related_name="firings")
    version = models.ForeignKey(ArtifactVersion, on_delete=models.PROTECT, related_name="firings")
    outcome = models.CharField(max_length=12, choices=FiringOutcome.choices)
    reason = models.TextField(blank=True, default="")
    execution = models.ForeignKey(Execution, null=True, on_delete=models.PROTECT, related_name="firings")
    resolution = models.JSONField(default=dict)  # {input: {"via", "artifact", "version", "version_id", "explanation"}}
    published_at = models.DateTimeField()
    at = models.DateTimeField()
    latency_ms = models.FloatField(null=True)  # version published -> execution launched
    # Artifacts (`project/domain/name`) whose next version makes another try worth while; empty: none would.
    lacks = ArrayField(models.CharField(max_length=400), default=list, blank=True)
    tries = models.IntegerField(default=1)
    retry_at = models.DateTimeField(null=True)  # after a passing fault (a store out of reach), try again then
    # 1 + that of the firing which started the version's producer: how long the chain of reactions is by now.
    generation = models.IntegerField(default=1)
    # The firing that the chain began with (empty on that one); on that one, when the chain was stopped for growing.
    root = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")
    stopped_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["trigger", "version"], name="firing_unique")]
        indexes = [
            models.Index(fields=["trigger", "-at"], name="firing_recent"),
            models.Index(fields=["id"], name="firing_open", condition=Q(outcome__in=["waiting", "unresolved"])),
            models.Index(fields=["retry_at"], name="firing_retry", condition=Q(retry_at__isnull=False)),
            GinIndex(fields=["lacks"], name="firing_lacks", condition=Q(outcome__in=["waiting", "unresolved"])),
        ]

    def __str__(self) -> str:
        return f"{self.trigger_id} x {self.version_id}: {self.outcome}"
