from __future__ import annotations

from django.db import models

from scheduler.models.execution import Execution


class EndedChild(models.Model):
    """A parent's inbox: a child execution that has ended, until the parent has taken that into account.

    `parent_id` is the execution's number only, no foreign key: parent and child are never locked together.
    """

    child = models.OneToOneField(Execution, on_delete=models.CASCADE, related_name="+")
    parent_id = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["parent_id", "id"], name="ended_child_parent")]

    def __str__(self) -> str:
        return f"{self.child_id} of {self.parent_id}"
