from __future__ import annotations

from urllib.parse import urlsplit

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from artifacts.models import Happening


class Channel(models.TextChoices):
    """How somebody is told. Slack and PagerDuty of flytekit are addresses that mail is sent to, as in Flyte."""

    EMAIL = "email"
    WEBHOOK = "webhook"
    SLACK = "slack"  # an incoming webhook of Slack, or of what understands its body
    CONSOLE = "console"  # the bell: the row itself is what is shown


class Subscription(models.Model):
    """Who is told of which happenings: an address of a project's, or a person (`owner`), of what he may see.

    Empty `project`, `domain`, `artifact` or `launch_plan`: of all of them. These two are patterns of names, in which
    `*` stands for any characters.
    """

    owner = models.CharField(max_length=150, blank=True, default="")  # empty: it is the project's, not a person's
    kinds = ArrayField(models.CharField(max_length=32))  # of happenings, `<subject>.*`, or `*`
    project = models.CharField(max_length=64, blank=True, default="")
    domain = models.CharField(max_length=64, blank=True, default="")
    artifact = models.CharField(max_length=255, blank=True, default="")
    launch_plan = models.CharField(max_length=255, blank=True, default="")
    channel = models.CharField(max_length=8, choices=Channel.choices)
    address = models.TextField(blank=True, default="")  # a URL, or a mail address; empty: the owner's
    sealed = models.BinaryField(null=True)  # the secret that webhooks are signed with (scheduler.notifications.signing)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["project", "-created_at", "-id"], name="subscription_project"),
            models.Index(fields=["owner", "-created_at", "-id"], name="subscription_owner", condition=~Q(owner="")),
        ]

    def __str__(self) -> str:
        return f"{self.channel} for {self.owner or self.project}: {', '.join(self.kinds)}"


class Notification(models.Model):
    """A happening that somebody is to be told of: written with it, sent after the commit, tried again.

    `next_at` is also the lease of who sends it: a sender that dies leaves it to be sent again later.
    """

    happening = models.ForeignKey(Happening, on_delete=models.CASCADE, related_name="notifications", db_index=False)
    subscription = models.ForeignKey(  # null: asked for by a launch plan or an approval rule, or removed since
        Subscription, null=True, on_delete=models.SET_NULL, related_name="notifications", db_index=False
    )
    channel = models.CharField(max_length=8, choices=Channel.choices)
    recipient = models.CharField(max_length=150, blank=True, default="")  # the person, of what goes to a person
    address = models.TextField(blank=True, default="")
    created_at = models.DateTimeField()
    attempts = models.IntegerField(default=0)
    next_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    given_up_at = models.DateTimeField(null=True)
    read_at = models.DateTimeField(null=True)  # of the console's
    error = models.TextField(blank=True, default="")  # of the last attempt
    log = models.JSONField(default=list)  # of its attempts, oldest first: at, seconds, said (empty: it was taken)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["happening", "channel", "recipient", "address"], name="notification_once"),
        ]
        indexes = [
            models.Index(
                fields=["next_at"],
                name="notification_open",
                condition=Q(sent_at__isnull=True, given_up_at__isnull=True),
            ),
            models.Index(fields=["recipient", "-id"], name="notification_bell", condition=Q(channel="console")),
            models.Index(
                fields=["subscription", "-created_at", "-id"],
                name="notification_log",
                condition=Q(subscription__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.happening_id} to {self.shown_address}"

    @property
    def shown_address(self) -> str:
        """For everybody who may see the happening: what follows the host of a URL is often a secret."""
        if self.recipient:
            return self.recipient
        return self.address if self.channel == Channel.EMAIL else urlsplit(self.address).hostname or ""
