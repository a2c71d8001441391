from __future__ import annotations

from django.db import models
from django.db.models import Q

from artifacts.models import ArtifactVersion


class Promotion(models.Model):
    """A version on its way to another domain or project, by reference: a version of its own there, the same bytes.

    `target` is empty while approvals are missing, and when it was rejected.
    """

    class State(models.TextChoices):
        REQUESTED = "requested"
        PROMOTED = "promoted"
        REJECTED = "rejected"

    source = models.ForeignKey(ArtifactVersion, on_delete=models.PROTECT, related_name="promotions")
    project = models.CharField(max_length=64)
    domain = models.CharField(max_length=64)
    name = models.CharField(max_length=255)  # of the artifact there
    alias = models.CharField(max_length=64, blank=True, default="")  # moved to it there
    target = models.ForeignKey(ArtifactVersion, null=True, on_delete=models.PROTECT, related_name="promoted_by")
    state = models.CharField(max_length=9, choices=State.choices, default=State.REQUESTED)
    reason = models.TextField(blank=True, default="")
    requested_by = models.CharField(max_length=150)
    requested_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    cache_key = models.CharField(max_length=64, blank=True, default="")  # of the entry that went with it

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["source", "project", "domain", "name"],
                condition=~Q(state="rejected"),
                name="promotion_once",
            ),
        ]
        indexes = [
            models.Index(fields=["target"], name="promotion_target", condition=Q(target__isnull=False)),
            models.Index(fields=["project", "domain", "-requested_at"], name="promotion_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.source} -> {self.project}/{self.domain}/{self.name}"
