from __future__ import annotations

from django.db import models
from django.db.models import Q

from artifacts.models.artifact import Artifact
from artifacts.models.hold import Erasure
from artifacts.models.version import ArtifactVersion


class RetentionPolicy(models.Model):
    """Which versions of an artifact to keep; a version goes only when every rule that is set lets it go.

    Whatever the policy: a version stays that an alias names, that an unfinished execution uses, or that (unless
    `keep_ancestors` is off) a kept version was made of.
    """

    artifact = models.OneToOneField(Artifact, on_delete=models.CASCADE, related_name="retention")
    keep_newest = models.PositiveIntegerField(null=True)  # so many of each partition
    keep_for = models.DurationField(null=True)  # since publication
    keep_ancestors = models.BooleanField(default=True)
    set_by = models.CharField(max_length=150)
    set_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(keep_newest__isnull=False) | Q(keep_for__isnull=False), name="retention_has_a_rule"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.artifact}: newest {self.keep_newest}, for {self.keep_for}"


class Removal(models.Model):
    """The tombstone of a version: the row and its lineage stay, its data went."""

    version = models.OneToOneField(ArtifactVersion, on_delete=models.PROTECT, related_name="removal")
    at = models.DateTimeField()
    actor = models.CharField(max_length=150)
    reason = models.TextField()
    # Objects go after the rows: what a crash between leaves is found by the empty column.
    objects_deleted_at = models.DateTimeField(null=True)
    freed_bytes = models.BigIntegerField(default=0)
    erasure = models.ForeignKey(Erasure, null=True, on_delete=models.PROTECT, related_name="removals")

    class Meta:
        indexes = [models.Index(fields=["id"], name="removal_open", condition=Q(objects_deleted_at__isnull=True))]

    def __str__(self) -> str:
        return f"{self.version_id} removed by {self.actor}"
