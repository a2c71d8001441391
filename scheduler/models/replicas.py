from __future__ import annotations

from django.db import models

from scheduler.models.attempt import TaskExecution


class AttemptReplicas(models.Model):
    """The processes of an attempt that is a job of several, as its executor last saw them (attempts.replicas)."""

    attempt = models.OneToOneField(TaskExecution, primary_key=True, on_delete=models.CASCADE, related_name="replicas")
    at = models.DateTimeField()
    replicas = models.JSONField(default=list)  # scheduler.attempts.observations.Replica, in order

    def __str__(self) -> str:
        return f"{self.attempt_id}: {len(self.replicas)} replicas"
