from __future__ import annotations

from django.db import models

from scheduler.models.attempt import TaskExecution


class AttemptSamples(models.Model):
    """What the processes of an attempt used while it ran. Bounded: where there are too many points, every other goes
    (scheduler.attempts.samples).
    """

    attempt = models.OneToOneField(TaskExecution, primary_key=True, on_delete=models.CASCADE, related_name="samples")
    # [[seconds since it started, cores, bytes of memory, GPUs busy or null], ...] in order of time
    points = models.JSONField(default=list)
    peak_cpu = models.FloatField(default=0.0)  # cores, over one step between samples
    peak_memory = models.BigIntegerField(default=0)  # bytes
    cpu_seconds = models.FloatField(default=0.0)  # up to the last sample

    def __str__(self) -> str:
        return f"{self.attempt_id}: {len(self.points)} samples"
