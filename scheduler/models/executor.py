from __future__ import annotations

from django.db import models


class ExecutorInstance(models.Model):
    """An executor process that claims attempts (the local executor: one per machine), and when it was last alive."""

    name = models.CharField(max_length=64, unique=True)  # what TaskExecution.claimed_by holds
    executor = models.CharField(max_length=32)
    cluster = models.CharField(max_length=64, blank=True, default="")  # whose pods it looks after; empty: of none
    capacity = models.JSONField(default=dict)  # as TaskExecution.resources
    kept = models.JSONField(default=list)  # clusters that wait there for later tasks, as Executor.kept gives them
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
