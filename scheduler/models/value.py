from __future__ import annotations

from django.db import models

from artifacts.models import Mark
from scheduler.models.execution import Execution


class ValueSide(models.TextChoices):
    INPUT = "input"
    OUTPUT = "output"


class ExecutionValue(models.Model):
    """A plain input or output of an execution, as it is searched (scheduler.value_index): what the objects of the store
    say, and nothing more. Of files and frames it is their address.
    """

    execution = models.ForeignKey(Execution, on_delete=models.CASCADE, related_name="plain_values", db_index=False)
    side = models.CharField(max_length=6, choices=ValueSide.choices)
    name = models.CharField(max_length=255)
    text = models.CharField(max_length=512)  # as people write it; longer ones are not kept
    number = models.FloatField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["execution", "side", "name"], name="execution_value_unique")]
        indexes = [
            models.Index(fields=["side", "name", "number", "-execution"], name="execution_value_number"),
            models.Index(fields=["side", "name", "text", "-execution"], name="execution_value_text"),
        ]

    def __str__(self) -> str:
        return f"{self.execution_id} {self.side}.{self.name}={self.text}"


class ValuesMark(Mark):
    """Up to which executions (inputs) and PhaseEvents (outputs) values are indexed: a row for each."""

    side = models.CharField(max_length=6, choices=ValueSide.choices, unique=True)
