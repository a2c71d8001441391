from __future__ import annotations

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q

from scheduler.models.node import NodeExecution
from scheduler.models.registry import Task
from scheduler.phases import ATTEMPT_HELD, ATTEMPT_TERMINAL, AttemptPhase


class TaskExecution(models.Model):
    """One attempt to run a task: what an executor sees of the world, and all the engine sees of an executor.

    The engine inserts it QUEUED with `command` complete. The executor claims it, moves its phase with compare-and-set
    and reports the end once; `handled` turns true when the engine has taken that end into account.
    """

    node = models.ForeignKey(NodeExecution, on_delete=models.CASCADE, related_name="task_executions", db_index=False)
    execution_id = models.BigIntegerField()  # of the node; spares a join on every report
    task = models.ForeignKey(Task, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    attempt = models.IntegerField(default=0)
    index = models.IntegerField(default=-1)  # item of a map; -1: not a map
    name = models.CharField(max_length=255)  # deterministic: submitting twice finds the first
    phase = models.SmallIntegerField(choices=AttemptPhase.choices, default=AttemptPhase.QUEUED)
    executor = models.CharField(max_length=32, default="local")
    cluster = models.CharField(max_length=64, blank=True, default="")  # which place of that kind; empty: there is one
    claimed_by = models.CharField(max_length=64, blank=True, default="")  # which executor instance
    handle = models.CharField(max_length=255, blank=True, default="")  # pid:starttime, pod name, connector resource
    command = models.JSONField(
        default=dict
    )  # scheduler.attempts.spec.AttemptSpec, as scheduler.attempts.wire writes it
    # {"cpu": cores, "memory": bytes, "gpu": n, "ephemeral_storage": bytes, "memory_limit": bytes, "at_most": [names]}
    resources = models.JSONField(default=dict)
    interruptible = models.BooleanField(default=False)
    priority = models.SmallIntegerField(default=0)
    lane = models.BigIntegerField(null=True)  # scheduler.models.Lane, which may have to be written still
    cancel_requested = models.BooleanField(default=False)
    reason = models.TextField(blank=True, default="")
    error = models.BinaryField(null=True)  # core.ExecutionError
    error_retryable = models.BooleanField(default=False)
    output_uri = models.TextField(blank=True, default="")
    deck_uri = models.TextField(blank=True, default="")
    log_uri = models.TextField(blank=True, default="")
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    handled = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["node", "attempt", "index"], name="task_execution_unique"),
            # Not `unique=True`, of which Django makes a second index, for patterns
            models.UniqueConstraint(fields=["name"], name="task_execution_name"),
        ]
        indexes = [
            models.Index(
                fields=["executor", "cluster", "-priority", "id"],
                name="task_execution_queued",
                condition=Q(phase=AttemptPhase.QUEUED),
            ),
            models.Index(
                fields=["claimed_by", "id"],
                name="task_execution_held",
                condition=Q(phase__in=sorted(ATTEMPT_HELD)),
            ),
            # In lanes, and there in turns of executions
            models.Index(
                fields=["executor", "cluster", "lane", "execution_id", "id"],
                name="task_execution_lanes",
                condition=Q(phase=AttemptPhase.QUEUED),
            ),
            models.Index(
                fields=["lane", "execution_id"],
                name="task_execution_held_lanes",
                condition=Q(phase__in=sorted(ATTEMPT_HELD)),
            ),
            models.Index(fields=["task", "-id"], name="task_execution_of_task"),  # the newest of a task
            # What pages of an execution ask for
            models.Index(fields=["execution_id"], name="task_execution_of_execution"),
            # A few bytes for each stretch of the table: attempts that ended about the same time lie together
            BrinIndex(fields=["ended_at"], name="task_execution_ended", pages_per_range=32, autosummarize=True),
            models.Index(
                fields=["execution_id"],
                name="task_execution_unhandled",
                condition=Q(handled=False, phase__in=sorted(ATTEMPT_TERMINAL)),
            ),
        ]

    def __str__(self) -> str:
        return self.name
