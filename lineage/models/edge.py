from __future__ import annotations

from django.db import models

from artifacts.models import ArtifactVersion


class VersionRole(models.TextChoices):
    PRODUCED = "produced"
    CONSUMED = "consumed"


class Via(models.TextChoices):
    """How a version came to be an input, or left as an output."""

    OUTPUT = "output"  # produced: an annotated output, or an outside publication
    TRIGGER = "trigger"  # consumed: the version that fired the launch plan
    QUERY = "query"  # consumed: a query resolved to it at launch
    OVERRIDE = "override"  # consumed: a person or client passed this version at launch
    LITERAL = "literal"  # consumed: the literal carried the artifact id from an upstream node
    FETCH = "fetch"  # consumed: a client downloaded it


class VersionEdge(models.Model):
    """A version was produced or consumed by an execution, at a node and variable. Written once, never changed."""

    version = models.ForeignKey(ArtifactVersion, on_delete=models.PROTECT, related_name="edges", db_index=False)
    execution_key = models.CharField(max_length=255)
    node_id = models.CharField(max_length=255, blank=True, default="")  # empty: the execution's own input or output
    attempt = models.IntegerField(default=0)
    variable = models.CharField(max_length=255, blank=True, default="")
    role = models.CharField(max_length=8, choices=VersionRole.choices)
    via = models.CharField(max_length=8, choices=Via.choices)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["execution_key", "version", "role", "node_id", "variable"], name="version_edge_unique"
            ),
        ]
        indexes = [
            models.Index(fields=["version", "role", "execution_key"], name="version_edge_version"),
            models.Index(fields=["version", "-id"], name="version_edge_recent"),  # the newest uses of a hot version
        ]

    def __str__(self) -> str:
        return f"{self.version_id} {self.role} by {self.execution_key}/{self.node_id}"


class Derivation(models.Model):
    """`target` was made of `source`: a value that was it, or was computed of it, flowed into the node that published.

    Only the nearest published versions are named; what those were made of is found by walking on. Who made it is told
    by the target, which is published once. Written with the target and never changed, but for those of runs elsewhere
    (lineage.actions.outside_versions); the source is always the older one, though of those not by its id.
    """

    source = models.ForeignKey(ArtifactVersion, on_delete=models.PROTECT, related_name="derived", db_index=False)
    target = models.ForeignKey(ArtifactVersion, on_delete=models.PROTECT, related_name="made_of", db_index=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["target", "source"], name="derivation_unique")]
        indexes = [models.Index(fields=["source", "target"], name="derivation_source")]

    def __str__(self) -> str:
        return f"{self.source_id} -> {self.target_id}"


class LinkKind(models.TextChoices):
    TRIGGER = "trigger"
    PARENT = "parent"
    RELAUNCH = "relaunch"
    RECOVER = "recover"
    SCHEDULE = "schedule"


class ExecutionLink(models.Model):
    """An execution was started by something: a trigger firing, a parent, a relaunch, a recovery or a schedule."""

    execution_key = models.CharField(max_length=255)
    kind = models.CharField(max_length=8, choices=LinkKind.choices)
    source = models.CharField(max_length=400)  # an execution key, or `trigger:<id>`, `schedule:<id>`
    detail = models.JSONField(default=dict)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["execution_key", "kind", "source"], name="execution_link_unique"),
        ]
        indexes = [models.Index(fields=["source", "kind"], name="execution_link_source")]

    def __str__(self) -> str:
        return f"{self.execution_key} {self.kind} {self.source}"
