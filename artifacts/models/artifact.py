from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Kind(models.TextChoices):
    """What an artifact holds, told from its literal type unless somebody says otherwise."""

    MODEL = "model", "Model"
    DATASET = "dataset", "Dataset"
    FILE = "file", "File"
    DIRECTORY = "directory", "Directory"
    VALUE = "value", "Value"
    OTHER = "other", "Other"


class Granularity(models.IntegerChoices):
    """flyteidl.core.Granularity: what a time partition is truncated to, in UTC. UNSET: not time partitioned."""

    UNSET = 0
    MINUTE = 1
    HOUR = 2
    DAY = 3
    MONTH = 4


class Artifact(models.Model):
    """A name that others know: the first version published under it fixes its partition keys and granularity."""

    project = models.CharField(max_length=64)
    domain = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.OTHER)
    description = models.TextField(blank=True, default="")
    partition_keys = ArrayField(models.CharField(max_length=255), default=list, blank=True)
    granularity = models.SmallIntegerField(choices=Granularity.choices, default=Granularity.UNSET)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "domain", "name"], name="artifact_key_unique"),
        ]
        indexes = [models.Index(fields=["name"], name="artifact_name")]

    def __str__(self) -> str:
        return f"{self.project}/{self.domain}/{self.name}"

    @property
    def key(self) -> tuple[str, str, str]:
        return self.project, self.domain, self.name
