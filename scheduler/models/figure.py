from __future__ import annotations

from django.db import models

from artifacts.models import Mark


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


class FiguresMark(Mark):
    """Up to which PhaseEvent figures are counted: one row."""


class TracesMark(Mark):
    """Up to which PhaseEvent ended executions are told as traces (scheduler.traces): one row."""
