from __future__ import annotations

from django.db import models

from scheduler.models.attempt import TaskExecution


class Preemption(models.Model):
    """An attempt that was asked to end so that another one may start: which, for whom, and why."""

    attempt = models.OneToOneField(TaskExecution, on_delete=models.CASCADE, related_name="preemption")
    by_attempt = models.BigIntegerField()  # who was short of what it held; it may be gone
    by_execution = models.CharField(max_length=200)  # its key
    message = models.TextField()
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["by_attempt"], name="preemption_by_attempt")]

    def __str__(self) -> str:
        return f"{self.attempt_id} for {self.by_execution}"
