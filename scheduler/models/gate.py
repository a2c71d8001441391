from __future__ import annotations

from django.db import models
from django.db.models import Q
from flyteidl.core import literals_pb2

from scheduler.models.execution import Execution
from scheduler.models.node import NodeExecution


class GateKind(models.TextChoices):
    APPROVE = "approve"
    SIGNAL = "signal"
    SLEEP = "sleep"


class Gate(models.Model):
    """A signal an execution waits for. The door writes the decision once; the engine alone moves the node.

    A signal may be set before the node is reached (`node` is then empty), as in Flyte.
    """

    execution = models.ForeignKey(Execution, on_delete=models.CASCADE, related_name="gates", db_index=False)
    node = models.ForeignKey(NodeExecution, null=True, on_delete=models.CASCADE, related_name="gates")
    signal_id = models.CharField(max_length=255)
    kind = models.CharField(max_length=8, choices=GateKind.choices)
    literal_type = models.BinaryField()  # core.LiteralType
    value = models.BinaryField(null=True)  # core.Literal, once decided
    waiting_since = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=150, blank=True, default="")
    comment = models.TextField(blank=True, default="")
    escalated_at = models.DateTimeField(null=True)  # when those were asked too whom its rule names for that
    voided_at = models.DateTimeField(null=True)  # what its decision was about is no longer what it was
    taken = models.BooleanField(default=False)  # the nodes that waited for the decision know it
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["execution", "signal_id"], name="gate_unique")]
        indexes = [
            models.Index(fields=["-waiting_since"], name="gate_waiting", condition=Q(decided_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.execution_id}:{self.signal_id}"

    @property
    def approved(self) -> bool:
        """Whether it was decided, and decided yes."""
        return literals_pb2.Literal.FromString(bytes(self.value or b"")).scalar.primitive.boolean
