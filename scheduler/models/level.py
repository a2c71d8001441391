from __future__ import annotations

from django.db import models
from django.db.models import Q


class ServiceLevel(models.Model):
    """What somebody promised of an artifact or a launch plan; whether it is kept is looked at by the sweep.

    `seconds`: the greatest age, or the longest time; of NEW_BY, `time` is a time of day by the clocks of `zone`.
    """

    class Kind(models.TextChoices):
        NEW_BY = "new_by", "a new version by a time of day"
        FRESH = "fresh", "the newest version no older than"
        ENDS_WITHIN = "ends_within", "every execution ends within"
        P95_WITHIN = "p95_within", "p95 of a day's executions within"

    project = models.CharField(max_length=64)
    domain = models.CharField(max_length=64)
    kind = models.CharField(max_length=11, choices=Kind.choices)
    name = models.CharField(max_length=255)  # of the artifact, or of the launch plan
    partitions = models.JSONField(default=dict)  # of an artifact: only versions with these values
    time = models.CharField(max_length=5, blank=True, default="")  # HH:MM
    zone = models.CharField(max_length=64, blank=True, default="")
    seconds = models.FloatField(null=True)
    set_by = models.CharField(max_length=150)
    set_at = models.DateTimeField()
    looked_until = models.DateTimeField()  # deadlines and days up to then have their rows
    removed_at = models.DateTimeField(null=True)  # what came of it stays

    class Meta:
        indexes = [
            models.Index(fields=["project", "domain"], name="service_level", condition=Q(removed_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.project}/{self.domain}/{self.name}: {self.words}"

    @property
    def words(self) -> str:
        """What was promised."""
        if self.kind == self.Kind.NEW_BY:
            return f"a new version by {self.time} {self.zone}"
        return f"{self.Kind(self.kind).label} {_span(self.seconds or 0)}"


def _span(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


class LevelOutcome(models.Model):
    """Whether a service level was kept once: at a deadline, by an execution, over a day; or, of FRESH, each span in
    which the newest version was too old (`met` is false, `until` empty while it lasts).
    """

    level = models.ForeignKey(ServiceLevel, on_delete=models.PROTECT, related_name="outcomes", db_index=False)
    key = models.CharField(max_length=64)  # the deadline, the execution's id, the day, the version that became too old
    met = models.BooleanField()
    at = models.DateTimeField()  # when it was due, or became too late
    until = models.DateTimeField(null=True)
    value = models.FloatField(null=True)  # seconds: how long it took, how old it was
    subject = models.CharField(max_length=700, blank=True, default="")  # the version or execution

    class Meta:
        constraints = [models.UniqueConstraint(fields=["level", "key"], name="level_outcome_once")]
        indexes = [
            models.Index(fields=["level", "-at", "-id"], name="level_outcome_recent"),
            models.Index(fields=["level"], name="level_outcome_open", condition=Q(met=False, until__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.level_id} {self.key}: {'met' if self.met else 'breached'}"


class UpTime(models.Model):
    """A span of time in which Causeway was at work: the sweep says so every few seconds. Between two it was not."""

    since = models.DateTimeField()
    until = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["-until"], name="uptime_recent")]

    def __str__(self) -> str:
        return f"{self.since:%Y-%m-%d %H:%M:%S} - {self.until:%Y-%m-%d %H:%M:%S}"
