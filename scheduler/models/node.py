from __future__ import annotations

from django.db import models
from django.db.models import Q

from scheduler.models.execution import Execution
from scheduler.phases import NodePhase


class NodeKind(models.TextChoices):
    START = "start"
    END = "end"
    TASK = "task"
    WORKFLOW = "workflow"  # sub-workflow, or the body of a failure handler
    LAUNCH_PLAN = "launch_plan"
    BRANCH = "branch"
    GATE = "gate"
    ARRAY = "array"


class NodeExecution(models.Model):
    """A node of an execution. Rows appear when a node first matters: ready, or told that one of its upstream ended."""

    execution = models.ForeignKey(Execution, on_delete=models.CASCADE, related_name="nodes", db_index=False)
    node_id = models.CharField(max_length=500)  # unique in the execution: `n0`, inside a sub-workflow `n0-0-n1`
    spec_node_id = models.CharField(max_length=255)  # as written in the workflow template
    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="children")
    kind = models.CharField(max_length=16, choices=NodeKind.choices)
    phase = models.SmallIntegerField(choices=NodePhase.choices, default=NodePhase.UNDEFINED)
    waiting_on = models.IntegerField(default=0)  # upstream nodes not yet ended
    parked = models.BooleanField(default=False)  # ready, waiting for a slot of the execution's max_parallelism
    attempts = models.IntegerField(default=0)
    user_failures = models.IntegerField(default=0)
    system_failures = models.IntegerField(default=0)
    input_uri = models.TextField(blank=True, default="")
    output_uri = models.TextField(blank=True, default="")
    deck_uri = models.TextField(blank=True, default="")
    dynamic_uri = models.TextField(blank=True, default="")  # the compiled dynamic spec of a parent node
    error = models.BinaryField(null=True)  # core.ExecutionError
    cache_status = models.SmallIntegerField(default=0)  # core.CatalogCacheStatus
    cache_key = models.CharField(max_length=128, blank=True, default="")
    # What is computed from what (scheduler.shell.fingerprints): the digest of the template, then of the inputs too
    fingerprint = models.CharField(max_length=48, blank=True, default="")
    # Of a RECOVERED node, the one that computed its outputs. A number only: the other may go without this one noticing
    recovered_from = models.BigIntegerField(null=True)
    is_dynamic = models.BooleanField(default=False)
    state = models.JSONField(default=dict)  # what the node's kind must remember between evaluations
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    wake_at = models.DateTimeField(null=True)  # timeout, sleep, back-off

    class Meta:
        constraints = [models.UniqueConstraint(fields=["execution", "node_id"], name="node_id_unique")]
        indexes = [
            models.Index(fields=["execution", "parent", "id"], name="node_children"),
            models.Index(
                fields=["id"], name="node_awaits_child", condition=Q(kind=NodeKind.LAUNCH_PLAN, phase=NodePhase.RUNNING)
            ),
            models.Index(fields=["execution", "id"], name="node_parked", condition=Q(parked=True)),
            # Those whose place may be another when the execution is recovered
            models.Index(
                fields=["execution", "fingerprint"], name="node_fingerprint", condition=Q(parent__isnull=False)
            ),
            models.Index(fields=["execution", "wake_at"], name="node_wake", condition=Q(wake_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.execution_id}:{self.node_id}"
