from __future__ import annotations

from django.db import models


class Figure(models.Model):
    """A number that only grows, for operators: how often something happened (scheduler.figures).

    `labels` is `name=value` with commas between, in the order in which the figure names them. Of a histogram there is a
    row for each bucket (label `le`, not cumulative) and one for the sum (label `sum`).
    """

    name = models.CharField(max_length=64)
    labels = models.CharField(max_length=255, blank=True, default="")
    value = models.FloatField(default=0.0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "labels"], name="figure_unique")]

    def __str__(self) -> str:
        return f"{self.name}{{{self.labels}}} {self.value:g}"


class Mark(models.Model):
    """How far a table of growing numbers was read (scheduler.marks): `ahead_to` was the newest number given out when
    `ahead_xid` was the next transaction.
    """

    counted_to = models.BigIntegerField()
    ahead_to = models.BigIntegerField()
    ahead_xid = models.BigIntegerField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"read to {self.counted_to}"


class FiguresMark(Mark):
    """Up to which PhaseEvent figures are counted: one row."""


class TracesMark(Mark):
    """Up to which PhaseEvent ended executions are told as traces (scheduler.traces): one row."""
