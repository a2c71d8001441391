"""How far tables were read by those who work behind them."""

from __future__ import annotations

from django.db import models


class Mark(models.Model):
    """How far a table of growing numbers was read (artifacts.marks): `ahead_to` is whole once all transactions
    before `ahead_xid` are over.
    """

    counted_to = models.BigIntegerField()
    ahead_to = models.BigIntegerField()
    ahead_xid = models.BigIntegerField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"read to {self.counted_to}"


class PartitionsMark(Mark):
    """Up to which version it is noted when partitions were last published (artifacts.last_published): one row."""
