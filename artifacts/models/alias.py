from __future__ import annotations

from django.db import models

from artifacts.models.artifact import Artifact
from artifacts.models.happening import Happening
from artifacts.models.version import ArtifactVersion
from artifacts.partition_values import NO_PARTITIONS, called


class Alias(models.Model):
    """A movable name for one version: `champion`, `production`. `latest` is computed, never stored.

    Where its policy keeps it per partition (`per`), there is one for each, all of one name.
    """

    artifact = models.ForeignKey(Artifact, on_delete=models.CASCADE, related_name="aliases", db_index=False)
    name = models.CharField(max_length=64)
    partitions = models.JSONField(default=dict)  # {key: value} of its version, of the keys that it is kept by
    partition_digest = models.CharField(max_length=32, default=NO_PARTITIONS)  # of `partitions`
    version = models.ForeignKey(ArtifactVersion, on_delete=models.PROTECT, related_name="aliases")
    moved_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["artifact", "name", "partition_digest"], name="alias_unique")]

    def __str__(self) -> str:
        return f"{self.artifact}:{self.called}"

    @property
    def called(self) -> str:
        return called(self.name, self.partitions)


class AliasMove(models.Model):
    """The history of a pointer: from which version to which, when, by whom and why."""

    artifact = models.ForeignKey(Artifact, on_delete=models.CASCADE, related_name="alias_moves")
    name = models.CharField(max_length=64)
    partitions = models.JSONField(default=dict)  # as of the alias
    from_version = models.ForeignKey(ArtifactVersion, null=True, on_delete=models.PROTECT, related_name="+")
    to_version = models.ForeignKey(ArtifactVersion, null=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    actor = models.CharField(max_length=150)
    reason = models.TextField(blank=True, default="")
    forced = models.BooleanField(default=False)  # against the policy, by somebody who may
    # What it stood on: the policy as it was, and each clause with what it found. Empty: no policy governed it.
    evidence = models.JSONField(default=dict)
    # Null where nothing moved: the alias was kept by other partition keys from then on.
    happening = models.OneToOneField(Happening, null=True, on_delete=models.SET_NULL, related_name="alias_move")

    def __str__(self) -> str:
        return f"{self.artifact}:{self.called} -> {self.to_version_id}"

    @property
    def called(self) -> str:
        return called(self.name, self.partitions)
