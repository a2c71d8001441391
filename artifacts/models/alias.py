from __future__ import annotations

from django.db import models

from artifacts.models.artifact import Artifact
from artifacts.models.happening import Happening
from artifacts.models.version import ArtifactVersion


class Alias(models.Model):
    """A movable name for one version: `champion`, `production`. `latest` is computed, never stored."""

    artifact = models.ForeignKey(Artifact, on_delete=models.CASCADE, related_name="aliases")
    name = models.CharField(max_length=64)
    version = models.ForeignKey(ArtifactVersion, on_delete=models.PROTECT, related_name="aliases")
    moved_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["artifact", "name"], name="alias_unique")]

    def __str__(self) -> str:
        return f"{self.artifact}:{self.name}"


class AliasMove(models.Model):
    """The history of an alias: from which version to which, when, by whom and why."""

    artifact = models.ForeignKey(Artifact, on_delete=models.CASCADE, related_name="alias_moves")
    name = models.CharField(max_length=64)
    from_version = models.ForeignKey(ArtifactVersion, null=True, on_delete=models.PROTECT, related_name="+")
    to_version = models.ForeignKey(ArtifactVersion, null=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    actor = models.CharField(max_length=150)
    reason = models.TextField(blank=True, default="")
    forced = models.BooleanField(default=False)  # against the policy, by somebody who may
    # What it stood on: the policy as it was, and each clause with what it found. Empty: no policy governed it.
    evidence = models.JSONField(default=dict)
    happening = models.OneToOneField(Happening, null=True, on_delete=models.SET_NULL, related_name="alias_move")

    def __str__(self) -> str:
        return f"{self.artifact}:{self.name} -> {self.to_version_id}"
