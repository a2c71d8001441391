from __future__ import annotations

from django.contrib.postgres.indexes import HashIndex
from django.db import models
from django.db.models import Q

from scheduler.models.node import NodeExecution


class CacheEntry(models.Model):
    """Outputs of a task that can be used again, under everything they depend on.

    `key` is the digest of the task's name, cache version, interface and inputs. While the first node computes them
    (and the task is cache-serialised) the entry is a claim: `holder` is that node, `output_uri` is empty, and
    `holder_item` tells which item of a map computes it. The claim of a node that has ended, or of an item that was
    given up, counts for nothing.
    """

    key = models.CharField(max_length=64, unique=True)
    project = models.CharField(max_length=64)
    domain = models.CharField(max_length=64)
    task_name = models.CharField(max_length=255)
    cache_version = models.CharField(max_length=255)
    output_uri = models.TextField(blank=True, default="")
    holder = models.ForeignKey(NodeExecution, null=True, on_delete=models.SET_NULL, related_name="+")
    holder_item = models.IntegerField(default=-1)
    created_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["project", "domain", "task_name", "-created_at"], name="cache_task"),
            HashIndex(fields=["output_uri"], name="cache_outputs", condition=~Q(output_uri="")),
        ]

    def __str__(self) -> str:
        return f"{self.project}/{self.domain}/{self.task_name}@{self.cache_version} {self.key[:12]}"
