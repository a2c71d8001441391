from __future__ import annotations

from django.db import models


class MatchableAttributes(models.Model):
    """What administrators set for all that runs in a project, a domain of it, or of one workflow there.

    Flyte's matchable attributes: one row for each kind and place. An empty domain or workflow means all of them.
    """

    kind = models.SmallIntegerField()  # admin.MatchableResource
    project = models.CharField(max_length=64)
    domain = models.CharField(max_length=64, blank=True, default="")
    workflow = models.CharField(max_length=255, blank=True, default="")
    attributes = models.BinaryField()  # admin.MatchingAttributes
    updated_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "domain", "workflow", "kind"], name="attributes_unique"),
        ]

    def __str__(self) -> str:
        return "/".join(part for part in (self.project, self.domain, self.workflow) if part)
