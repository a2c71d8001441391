from __future__ import annotations

from django.db import models
from django.db.models import Q

from scheduler.models.execution import Execution
from scheduler.models.registry import LaunchPlan
from scheduler.recurrence import split_zone


class Schedule(models.Model):
    """The schedule of one launch plan version.

    `expression` is cron (UTC unless it begins with `CRON_TZ=<zone> `), or a fixed rate in seconds counted from
    `anchor_at`. A nominal time fires `offset_seconds` later; the kickoff input gets the nominal time.
    """

    class Kind(models.TextChoices):
        CRON = "cron"
        RATE = "rate"

    launch_plan = models.OneToOneField(LaunchPlan, on_delete=models.CASCADE, related_name="schedule")
    kind = models.CharField(max_length=4, choices=Kind.choices)
    expression = models.CharField(max_length=255)
    offset_seconds = models.IntegerField(default=0)
    kickoff_input = models.CharField(max_length=255, blank=True, default="")
    active = models.BooleanField(default=False)
    anchor_at = models.DateTimeField(null=True)  # when it was last activated
    activated_by = models.CharField(max_length=150, blank=True, default="")  # as a trigger's
    activated_project = models.CharField(max_length=64, blank=True, default="")
    paused_at = models.DateTimeField(null=True)  # it is active and fires not until it is resumed
    paused_by = models.CharField(max_length=150, blank=True, default="")
    last_fire_at = models.DateTimeField(null=True)  # nominal time of the last fire
    next_fire_at = models.DateTimeField(null=True)  # nominal time of the next fire, plus the offset

    class Meta:
        indexes = [models.Index(fields=["next_fire_at"], name="schedule_due", condition=Q(active=True))]

    def __str__(self) -> str:
        return f"{self.launch_plan}: {self.expression}"

    @property
    def time_zone(self) -> str:
        """Whose clocks a cron expression means; a rate has no use for it."""
        return split_zone(self.expression)[0]


class ScheduleFire(models.Model):
    """A nominal time that was dealt with; its uniqueness is what makes a second scheduler harmless.

    Without an execution the launch was refused, and `error` says why.
    """

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="fires", db_index=False)
    fire_at = models.DateTimeField()
    execution = models.ForeignKey(Execution, null=True, on_delete=models.SET_NULL, related_name="+")
    error = models.TextField(blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["schedule", "fire_at"], name="schedule_fire_unique")]

    def __str__(self) -> str:
        return f"{self.schedule_id} at {self.fire_at}"
