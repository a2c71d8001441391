from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
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
    has_aliases = has_checks = True  # for all that is known; artifacts.actions.declare finds out
    asks = False  # whether the insertion of its versions asks what waits for them (artifacts.actions.waiting)

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


class Partition(models.Model):
    """A combination of partition values under which an artifact has been published at least once.

    There are far fewer of these than versions: a query that leaves keys open finds its partitions here and then the
    newest version of each by index, and "which regions were seen" is read here. Inserted with the first version;
    `last_in`: the hour in which the last was published, of those up to PartitionsMark (artifacts.last_published).
    """

    artifact = models.ForeignKey(Artifact, on_delete=models.CASCADE, related_name="partitions", db_index=False)
    digest = models.CharField(max_length=32)
    values = models.JSONField()
    last_in = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["artifact", "digest"], name="partition_unique")]
        indexes = [GinIndex(fields=["values"], name="partition_values", opclasses=["jsonb_path_ops"])]

    def __str__(self) -> str:
        return f"{self.artifact} {self.values}"
