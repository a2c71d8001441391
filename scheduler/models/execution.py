from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce

from scheduler.models.contest import Contest
from scheduler.models.registry import LaunchPlan, Task, Workflow
from scheduler.phases import EXECUTION_FAILED, ExecutionPhase


class ExecutionMode(models.IntegerChoices):
    """flyteidl.admin.ExecutionMetadata.ExecutionMode; TRIGGER is the number FlyteIDL gives to `TRIGGER` launches."""

    MANUAL = 0
    SCHEDULED = 1
    SYSTEM = 2
    RELAUNCH = 3
    CHILD_WORKFLOW = 4
    RECOVERED = 5
    TRIGGER = 6


class Execution(models.Model):
    """One run of a launch plan (or of a single task, through a generated workflow as Flyte does).

    The row is the engine's lock: whoever evaluates holds it FOR UPDATE. `dirty` says that something happened which has
    not been evaluated yet, `wake_at` when time alone will change something; the sweep looks for both.
    """

    project = models.CharField(max_length=64)
    domain = models.CharField(max_length=64)
    name = models.CharField(max_length=64)
    launch_plan = models.ForeignKey(
        LaunchPlan, null=True, on_delete=models.PROTECT, related_name="executions", db_index=False
    )
    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, related_name="executions", db_index=False)
    task = models.ForeignKey(Task, null=True, on_delete=models.PROTECT, related_name="executions")
    spec = models.BinaryField()  # admin.ExecutionSpec with defaults filled in
    # admin.TaskResourceAttributes: the platform's defaults and limits for its tasks, as they were at the launch
    task_resources = models.BinaryField(null=True)
    inputs_uri = models.TextField(blank=True, default="")  # core.LiteralMap, after defaults and queries were resolved
    # Inputs that are artifact versions: {input: {"via": str, "artifact": "p/d/name", "version": str, "version_id": int,
    # "explanation": str}}
    resolution = models.JSONField(default=dict)
    outputs_uri = models.TextField(blank=True, default="")
    phase = models.SmallIntegerField(choices=ExecutionPhase.choices, default=ExecutionPhase.UNDEFINED)
    mode = models.SmallIntegerField(choices=ExecutionMode.choices, default=ExecutionMode.MANUAL)
    principal = models.CharField(max_length=150, blank=True, default="")
    # The one project that the token was good for by which it was launched; empty: any (scheduler.authority)
    principal_project = models.CharField(max_length=64, blank=True, default="")
    error = models.BinaryField(null=True)  # core.ExecutionError
    abort_cause = models.TextField(blank=True, default="")
    aborted_by = models.CharField(max_length=150, blank=True, default="")
    parent_node = models.ForeignKey(
        "scheduler.NodeExecution", null=True, on_delete=models.PROTECT, related_name="child_executions"
    )
    reference = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="derived")
    # Of a run beside production: what it publishes is marked, and so is what it starts (scheduler.contests.shadows)
    shadow = models.ForeignKey(Contest, null=True, on_delete=models.PROTECT, related_name="shadows", db_index=False)
    archived = models.BooleanField(default=False)
    # Labels and tags as lists of executions are filtered by them: of each `key` and `key=value` (scheduler.tags)
    tags = ArrayField(models.TextField(), default=list, blank=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    # Engine bookkeeping: whole-execution counters, so that no evaluation has to count rows.
    counters = models.JSONField(default=dict)
    # Whether it is part of what launched it: a child, or what a running task launched. Quotas count the whole once
    is_part = models.BooleanField(default=False)
    priority = models.SmallIntegerField(default=0)  # by the tier of its quality of service; of its attempts too
    # Since when a quota of executions or launches keeps it from starting, and when one let it go
    waits_since = models.DateTimeField(null=True)
    admitted_at = models.DateTimeField(null=True)
    dirty = models.BooleanField(default=True)
    wake_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "domain", "name"], name="execution_key_unique"),
        ]
        indexes = [
            models.Index(fields=["project", "domain", "-created_at", "-id"], name="execution_recent"),
            # With what a count of the week's days reads, so that it reads the index only
            models.Index(fields=["-created_at", "-id"], name="execution_newest", include=["phase", "archived"]),
            models.Index(fields=["workflow", "-created_at"], name="execution_workflow"),
            models.Index(fields=["launch_plan", "-created_at"], name="execution_launch_plan"),
            models.Index(
                fields=["launch_plan", "-created_at"],
                name="execution_failed",  # few, of many: what failed is asked for by launch plan
                condition=Q(phase__in=sorted(EXECUTION_FAILED)),
            ),
            models.Index(fields=["id"], name="execution_dirty", condition=Q(dirty=True)),
            models.Index(fields=["id"], name="execution_unfinished", condition=Q(ended_at__isnull=True)),
            GinIndex(fields=["tags"], name="execution_tags", condition=~Q(tags=[])),
            models.Index(
                "project",
                "domain",
                "principal",
                Coalesce("launch_plan_id", 0),
                "priority",
                "id",
                name="execution_waits",
                condition=Q(waits_since__isnull=False, phase=ExecutionPhase.QUEUED),
            ),
            models.Index(fields=["admitted_at"], name="execution_admitted", condition=Q(admitted_at__isnull=False)),
            models.Index(fields=["shadow", "-id"], name="execution_shadow", condition=Q(shadow__isnull=False)),
            models.Index(fields=["wake_at"], name="execution_wake", condition=Q(wake_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def key(self) -> str:
        """The opaque key by which artifacts and lineage know this execution."""
        return f"{self.project}/{self.domain}/{self.name}"
