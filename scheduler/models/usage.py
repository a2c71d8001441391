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
