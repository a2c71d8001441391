from __future__ import annotations

from django.db import models

WARN_AT = 80  # percent of the limit, where nobody said at how many


class QuotaScope(models.TextChoices):
    """Whose use a quota counts."""

    EVERYTHING = "everything"
    PROJECT = "project"
    DOMAIN = "domain"  # a project in one domain
    USER = "user"  # whoever launched, anywhere
    LAUNCH_PLAN = "launch_plan"  # in all its versions


class QuotaWindow(models.TextChoices):
    """The time of the calendar (UTC) over which hours of cpu or GPU are counted."""

    DAY = "day"
    WEEK = "week"  # from Monday
    MONTH = "month"


class Quota(models.Model):
    """How much of one resource may be used at once, or in a window, by what its scope names.

    `resource` is a name of scheduler.quotas.resources, `limit` in its unit (cores, bytes, pieces, hours); for the
    resource `weight` it is the project's weight in turns.
    """

    scope = models.CharField(max_length=16, choices=QuotaScope.choices)
    project = models.CharField(max_length=64, blank=True, default="")
    domain = models.CharField(max_length=64, blank=True, default="")
    user = models.CharField(max_length=150, blank=True, default="")
    launch_plan = models.CharField(max_length=255, blank=True, default="")  # its name in the project and domain
    resource = models.CharField(max_length=128)
    window = models.CharField(max_length=8, choices=QuotaWindow.choices, blank=True, default="")
    limit = models.FloatField()
    warn_at = models.SmallIntegerField(default=WARN_AT)  # percent of the limit
    # Since when its use is above that, and when people were last told so (scheduler.quotas.warning)
    warned_since = models.DateTimeField(null=True, blank=True, editable=False)
    told_at = models.DateTimeField(null=True, blank=True, editable=False)
    guaranteed = models.FloatField(default=0.0)  # kept free for this scope wherever a wider quota counts too
    # Another quota of that kind whose unused part may be used beyond the limit
    borrows_from = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="lends_to")
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_until = models.DateTimeField(null=True, blank=True)
    by_platform = models.BooleanField(default=True)  # set by an administrator of everything: no project's may lift it
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    updated_by = models.CharField(max_length=150)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["scope", "project", "domain", "user", "launch_plan", "resource", "window"], name="quota_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.resource} of {self.subject}"

    @property
    def subject(self) -> str:
        """Whose use it counts, in words."""
        if self.scope == QuotaScope.USER:
            return f"user {self.user}"
        if self.scope == QuotaScope.LAUNCH_PLAN:
            return f"launch plan {self.project}/{self.domain}/{self.launch_plan}"
        if self.scope == QuotaScope.DOMAIN:
            return f"project {self.project} in {self.domain}"
        return f"project {self.project}" if self.scope == QuotaScope.PROJECT else "everything"


class Lane(models.Model):
    """What attempts have in common as far as quotas are concerned: whose they are and what they ask for. So that one
    decision is about all that wait in a lane, however many they are.

    `id` is a digest of the rest: the same lane has the same number, whoever writes it first.
    """

    id = models.BigIntegerField(primary_key=True)
    project = models.CharField(max_length=64)
    domain = models.CharField(max_length=64)
    user = models.CharField(max_length=150, blank=True, default="")
    launch_plan = models.CharField(max_length=255, blank=True, default="")
    priority = models.SmallIntegerField(default=0)
    resources = models.JSONField(default=dict)  # TaskExecution.resources
    demand = models.JSONField(default=dict)  # amounts by the names of scheduler.quotas.resources

    def __str__(self) -> str:
        return f"{self.project}/{self.domain}: {self.demand}"
