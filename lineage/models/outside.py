"""What other systems told of their jobs, runs and datasets by OpenLineage, by the place (project, domain) it came to.

Facets are kept as {name: [time of the event in microseconds, value]} (lineage.outside.facets). `key` is a digest of
namespace and name, which may be longer than an index takes.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from artifacts.models import ArtifactVersion
from lineage.outside.events import Role, RunState


class OutsideThing(models.Model):
    project = models.CharField(max_length=64)
    domain = models.CharField(max_length=64)
    key = models.CharField(max_length=32)
    namespace = models.TextField()
    name = models.TextField()
    facets = models.JSONField(default=dict)
    seen_at = models.DateTimeField()  # time of the last event about it

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.namespace} {self.name}"


class OutsideJob(OutsideThing):
    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "domain", "key"], name="outside_job_unique")]
        indexes = [models.Index(fields=["project", "domain", "-seen_at"], name="outside_job_recent")]


class OutsideDataset(OutsideThing):
    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "domain", "key"], name="outside_dataset_unique")]
        indexes = [models.Index(fields=["project", "domain", "-seen_at"], name="outside_dataset_recent")]


class OutsideRun(models.Model):
    project = models.CharField(max_length=64)
    domain = models.CharField(max_length=64)
    run_id = models.UUIDField()
    job = models.ForeignKey(OutsideJob, on_delete=models.CASCADE, related_name="runs", db_index=False)
    parent = models.UUIDField(null=True)  # the run that started it, where its facet says so
    state = models.CharField(max_length=8, choices=[(one.value, one.value) for one in RunState])
    state_at = models.DateTimeField()
    first_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField()
    facets = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "domain", "run_id"], name="outside_run_unique")]
        indexes = [
            models.Index(fields=["job", "-seen_at"], name="outside_run_of_job"),
            models.Index(fields=["project", "domain", "-seen_at"], name="outside_run_recent"),
            models.Index(fields=["parent"], name="outside_run_parent", condition=Q(parent__isnull=False)),
        ]

    def __str__(self) -> str:
        return str(self.run_id)


class OutsideUse(models.Model):
    """A run read or wrote a dataset; without a run: a job does so, as it is told of itself.

    `version`: of an output what a naming rule made of it, of an input the version of ours that it was.
    """

    job = models.ForeignKey(OutsideJob, on_delete=models.CASCADE, related_name="uses", db_index=False)
    run = models.ForeignKey(OutsideRun, on_delete=models.CASCADE, related_name="uses", null=True, db_index=False)
    dataset = models.ForeignKey(OutsideDataset, on_delete=models.CASCADE, related_name="uses", db_index=False)
    role = models.CharField(max_length=6, choices=[(one.value, one.value) for one in Role])
    facets = models.JSONField(default=dict)
    version = models.ForeignKey(
        ArtifactVersion, on_delete=models.PROTECT, related_name="outside_uses", null=True, db_index=False
    )
    made_at = models.DateTimeField(null=True)  # of an output that became a version: when its run ended
    read_at = models.DateTimeField(null=True)  # of an input: when its run began, as far as is known
    refusal = models.TextField(blank=True, default="")  # why it became none, though a rule fits

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "dataset", "role"], name="outside_use_unique"),
            models.UniqueConstraint(
                fields=["job", "dataset", "role"], name="outside_use_of_job", condition=Q(run__isnull=True)
            ),
        ]
        indexes = [
            models.Index(fields=["dataset", "role", "-id"], name="outside_use_dataset"),
            models.Index(fields=["job", "role", "dataset"], name="outside_use_job"),
            models.Index(fields=["version", "role"], name="outside_use_version", condition=Q(version__isnull=False)),
            models.Index(
                fields=["dataset", "-made_at", "-id"], name="outside_use_made", condition=Q(made_at__isnull=False)
            ),
            models.Index(fields=["dataset", "read_at"], name="outside_use_read", condition=Q(read_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.dataset_id} of {self.run_id or self.job_id}"


class DatasetRule(models.Model):
    """Which datasets told of in a place become artifacts there, and how these are called (lineage.outside.rules)."""

    project = models.CharField(max_length=64)
    domain = models.CharField(max_length=64)
    position = models.PositiveIntegerField(default=100)  # the first that fits counts; of equal ones the older
    namespace = models.CharField(max_length=500)
    name = models.CharField(max_length=500)
    artifact = models.CharField(max_length=255)
    partitions = models.JSONField(default=dict, blank=True)
    shape = models.CharField(
        max_length=10, default="dataset", choices=[(one, one) for one in ("dataset", "file", "directory")]
    )
    format = models.CharField(max_length=40, blank=True, default="")
    # Partitioned by the run's nominal time (of a scheduler's run; else its beginning), to this granularity.
    by_time = models.CharField(
        max_length=6, blank=True, default="", choices=[(one, one) for one in ("minute", "hour", "day", "month")]
    )
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["project", "domain", "position", "id"], name="dataset_rule_order")]

    def __str__(self) -> str:
        return f"{self.namespace} {self.name} -> {self.artifact}"
