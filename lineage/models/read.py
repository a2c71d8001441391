from __future__ import annotations

from django.db import models

from artifacts.models import ArtifactVersion


class VersionRead(models.Model):
    """Somebody queried a version's data by SQL: how often, and when last. No execution used it."""

    version = models.ForeignKey(ArtifactVersion, on_delete=models.CASCADE, related_name="reads", db_index=False)
    by = models.CharField(max_length=150)
    times = models.IntegerField(default=1)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "by"], name="version_read_unique")]

    def __str__(self) -> str:
        return f"{self.version_id} read by {self.by}"
