from __future__ import annotations

from django.db import models


class UsageHour(models.Model):
    """For how long attempts of a lane ran within an hour, all together: what they used follows from what the lane asks
    for. A row of lane 0 says that the hour was summed up.

    It only repeats what the attempts say, and may be made anew at any time (scheduler.quotas.used).
    """

    hour = models.DateTimeField()  # its beginning, UTC
    lane = models.BigIntegerField()
    seconds = models.FloatField()
    attempts = models.IntegerField()  # that ran in it

    class Meta:
        constraints = [models.UniqueConstraint(fields=["hour", "lane"], name="usage_hour_unique")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}h: {self.seconds:g} s"


class Price(models.Model):
    """What an hour of a resource costs from a moment on, until the next price of it: of a core, a GiB, a device."""

    resource = models.CharField(max_length=128)  # of scheduler.quotas.resources
    per_hour = models.FloatField()
    currency = models.CharField(max_length=8, blank=True, default="")  # the same for all
    valid_from = models.DateTimeField()
    set_by = models.CharField(max_length=150)
    set_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["resource", "valid_from"], name="price_unique")]

    def __str__(self) -> str:
        return f"{self.resource}: {self.per_hour:g} {self.currency}".strip() + f" from {self.valid_from:%Y-%m-%d %H:%M}"
