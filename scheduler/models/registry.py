"""What users register. Specs stay the protobuf bytes flytekit sent; the columns beside them are what is searched."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class Project(models.Model):
    class State(models.IntegerChoices):
        """flyteidl.admin.Project.ProjectState"""

        ACTIVE = 0
        ARCHIVED = 1
        SYSTEM_GENERATED = 2
        SYSTEM_ARCHIVED = 3

    identifier = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True, default="")
    labels = models.JSONField(default=dict, blank=True)
    state = models.SmallIntegerField(choices=State.choices, default=State.ACTIVE)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.identifier


class ResourceType(models.IntegerChoices):
    """flyteidl.core.ResourceType"""

    UNSPECIFIED = 0
    TASK = 1
    WORKFLOW = 2
    LAUNCH_PLAN = 3
    DATASET = 4


class NamedEntity(models.Model):
    """A name with at least one registered version, and what people say about it."""

    resource_type = models.SmallIntegerField(choices=ResourceType.choices)
    project = models.CharField(max_length=64)
    domain = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True, default="")
    archived = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["resource_type", "project", "domain", "name"], name="named_entity_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.project}/{self.domain}/{self.name}"


class RegisteredVersion(models.Model):
    """Common to tasks, workflows and launch plans: an identifier, immutable bytes and their digest."""

    project = models.CharField(max_length=64)
    domain = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    version = models.CharField(max_length=255)
    spec = models.BinaryField()  # admin.TaskSpec / WorkflowSpec / LaunchPlanSpec, as sent
    closure = models.BinaryField()  # admin.TaskClosure / WorkflowClosure / LaunchPlanClosure, as compiled by us
    digest = models.BinaryField(max_length=32)  # SHA-256 of the canonical spec; same digest: already exists
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.project}/{self.domain}/{self.name}@{self.version}"


def _versioned(prefix: str) -> tuple[list[models.BaseConstraint], list[models.Index]]:
    unique = models.UniqueConstraint(fields=["project", "domain", "name", "version"], name=f"{prefix}_id_unique")
    newest = models.Index(fields=["project", "domain", "name", "-created_at", "-id"], name=f"{prefix}_newest")
    return [unique], [newest]


class Task(RegisteredVersion):
    type = models.CharField(max_length=255, blank=True, default="")
    short_description = models.TextField(blank=True, default="")

    class Meta:
        constraints, indexes = _versioned("task")


class Workflow(RegisteredVersion):
    """`closure.compiled_workflow` holds the whole compiled closure: primary, sub-workflows and tasks."""

    short_description = models.TextField(blank=True, default="")

    class Meta:
        constraints, indexes = _versioned("workflow")


class LaunchPlan(RegisteredVersion):
    """At most one version of a name is active: activating one deactivates the other in the same transaction."""

    class State(models.IntegerChoices):
        """flyteidl.admin.LaunchPlanState"""

        INACTIVE = 0
        ACTIVE = 1

    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, related_name="launch_plans")
    state = models.SmallIntegerField(choices=State.choices, default=State.INACTIVE)
    state_changed_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            *_versioned("launch_plan")[0],
            models.UniqueConstraint(
                fields=["project", "domain", "name"], condition=Q(state=1), name="launch_plan_one_active"
            ),
        ]
        indexes = _versioned("launch_plan")[1]
