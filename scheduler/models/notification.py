from __future__ import annotations

from urllib.parse import urlsplit

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from artifacts.models import Happening
from scheduler.models.execution import Execution
from scheduler.models.quota import Quota


class Subject(models.TextChoices):
    """What people are told of: the ends of an execution, by their FlyteIDL names, gates that want a person (and
    others, when its time is nearly up), quotas that are about to be used up, service levels that were not kept, checks
    that failed, aliases that left a bad version or could not, and votes that do not count any more.
    """

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ABORTED = "ABORTED"
    TIMED_OUT = "TIMED_OUT"
    GATE_WAITING = "GATE_WAITING"
    GATE_ESCALATED = "GATE_ESCALATED"
    QUOTA_WARNING = "QUOTA_WARNING"
    SERVICE_LEVEL = "SERVICE_LEVEL"
    CHECK_FAILED = "CHECK_FAILED"
    ALIAS_FELL_BACK = "ALIAS_FELL_BACK"
    ALIAS_STRANDED = "ALIAS_STRANDED"
    APPROVAL_VOIDED = "APPROVAL_VOIDED"


class Channel(models.TextChoices):
    """How they are told. Slack and PagerDuty of flytekit are addresses that mail is sent to, as in Flyte."""

    EMAIL = "email"
    WEBHOOK = "webhook"
    SLACK = "slack"  # an incoming webhook of Slack, or of what understands its body


class Subscription(models.Model):
    """An address that is told of a project's executions; empty `domain` or `launch_plan`: of all of them."""

    project = models.CharField(max_length=64)
    domain = models.CharField(max_length=64, blank=True, default="")
    launch_plan = models.CharField(max_length=255, blank=True, default="")
    subjects = ArrayField(models.CharField(max_length=16, choices=Subject.choices))
    channel = models.CharField(max_length=8, choices=Channel.choices)
    address = models.TextField()  # a URL, or a mail address
    secret = models.TextField(blank=True, default="")  # webhooks are signed with it; never shown again
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["project", "-created_at", "-id"], name="subscription_project")]

    def __str__(self) -> str:
        return f"{self.channel} for {self.project}: {', '.join(self.subjects)}"


class Notification(models.Model):
    """Something that somebody is to be told: written with what it tells of, sent after the commit, tried again.

    `next_at` is also the lease of who sends it: a sender that dies leaves it to be sent again later.
    """

    # What it is about: an execution, a quota or a happening, and what was said of these two
    execution = models.ForeignKey(Execution, null=True, on_delete=models.CASCADE, related_name="notifications")
    quota = models.ForeignKey(Quota, null=True, on_delete=models.CASCADE, related_name="+")
    happening = models.ForeignKey(Happening, null=True, on_delete=models.CASCADE, related_name="+")
    said = models.TextField(blank=True, default="")
    subject = models.CharField(max_length=16, choices=Subject.choices)
    signal_id = models.CharField(max_length=255, blank=True, default="")  # of the gate that waits
    channel = models.CharField(max_length=8, choices=Channel.choices)
    address = models.TextField()
    subscription = models.ForeignKey(Subscription, null=True, on_delete=models.SET_NULL)  # null: the launch plan's own
    created_at = models.DateTimeField()
    attempts = models.IntegerField(default=0)
    next_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    given_up_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True, default="")  # of the last attempt

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["execution", "subject", "signal_id", "channel", "address"], name="notification_once"
            ),
            models.UniqueConstraint(
                fields=["happening", "channel", "address"],
                name="notification_of_happening",
                condition=Q(happening__isnull=False),
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_at"],
                name="notification_open",
                condition=Q(sent_at__isnull=True, given_up_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        of = f"execution {self.execution_id}" if self.execution_id is not None else f"quota {self.quota_id}"
        of = f"happening {self.happening_id}" if self.happening_id is not None else of
        return f"{self.subject} of {of} to {self.shown_address}"

    @property
    def shown_address(self) -> str:
        """For everybody who may see the execution: what follows the host of a URL is often a secret."""
        return self.address if self.channel == Channel.EMAIL else urlsplit(self.address).hostname or ""
