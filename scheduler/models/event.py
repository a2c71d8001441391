from __future__ import annotations

from django.db import models

from scheduler.phases import Machine


class PhaseEvent(models.Model):
    """Every phase change ever: the timeline, the metrics and the audit read this table."""

    execution_id = models.BigIntegerField()
    machine = models.CharField(max_length=10, choices=Machine.choices)
    object_id = models.BigIntegerField()
    from_phase = models.SmallIntegerField()
    to_phase = models.SmallIntegerField()
    at = models.DateTimeField()
    reason = models.TextField(blank=True, default="")
    actor = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        indexes = [models.Index(fields=["execution_id", "id"], name="phase_event_execution")]

    def __str__(self) -> str:
        return f"{self.machine} {self.object_id}: {self.from_phase} -> {self.to_phase}"
