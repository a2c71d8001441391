from __future__ import annotations

from django.db import models
from django.db.models import Q


class RunEventType(models.TextChoices):
    """OpenLineage's run states, as its specification names them."""

    START = "START"
    COMPLETE = "COMPLETE"
    FAIL = "FAIL"
    ABORT = "ABORT"


class RunEvent(models.Model):
    """An OpenLineage event that is to be sent: written with what it tells of, sent after the commit, in order by run.

    `at` is when it happened. A row that was sent or given up stays for a while, for people to look at.
    """

    execution_key = models.CharField(max_length=255)
    event_type = models.CharField(max_length=8, choices=RunEventType.choices)
    at = models.DateTimeField()
    # {"job": "workflow:name@version", "owner": str, "parent": execution key, "parent_job": str}
    facts = models.JSONField(default=dict)
    error = models.TextField(blank=True, default="")  # of the execution, for FAIL and ABORT
    attempts = models.IntegerField(default=0)
    next_at = models.DateTimeField()  # not before
    sent_at = models.DateTimeField(null=True)
    given_up_at = models.DateTimeField(null=True)
    refusal = models.TextField(blank=True, default="")  # what the endpoint last answered

    class Meta:
        constraints = [models.UniqueConstraint(fields=["execution_key", "event_type"], name="run_event_unique")]
        indexes = [
            models.Index(
                fields=["next_at", "id"],
                name="run_event_open",
                condition=Q(sent_at__isnull=True, given_up_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.execution_key} {self.event_type}"
