from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q


class Contest(models.Model):
    """Launch plans that train on the same dataset, for one alias of the model that they publish: its champion.

    They lie where the model does. `shadow_plan`: the batch inference that runs with the challengers too, whenever it
    runs with the champion; `shadow_input` takes the model.
    """

    project = models.CharField(max_length=64)
    domain = models.CharField(max_length=64)
    model = models.CharField(max_length=255)  # the artifact that the members publish
    alias = models.CharField(max_length=64)
    dataset_project = models.CharField(max_length=64)
    dataset_domain = models.CharField(max_length=64)
    dataset_name = models.CharField(max_length=255)
    members = ArrayField(models.CharField(max_length=255))  # names of launch plans, in the order they were given
    metric = models.CharField(max_length=255)
    better = models.CharField(max_length=4)  # `more` or `less`, as artifacts.measures.Better
    shadow_plan = models.CharField(max_length=255, blank=True, default="")
    shadow_input = models.CharField(max_length=255, blank=True, default="")
    # Who set it last: shadow runs are launched by that name and with those rights, as triggers are
    set_by = models.CharField(max_length=150)
    set_project = models.CharField(max_length=64, blank=True, default="")  # as Execution.principal_project
    set_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)  # what it launched stays

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "domain", "model", "alias"],
                name="contest_unique",
                condition=Q(removed_at__isnull=True),
            )
        ]
        indexes = [
            models.Index(
                fields=["project", "domain", "shadow_plan"],
                name="contest_shadowed",
                condition=Q(removed_at__isnull=True) & ~Q(shadow_plan=""),
            )
        ]

    def __str__(self) -> str:
        return f"{self.project}/{self.domain}/{self.model}:{self.alias}"

    def has(self, launch_plan: str) -> bool:
        return self.removed_at is None and launch_plan in self.members

    @property
    def dataset(self) -> str:
        return f"{self.dataset_project}/{self.dataset_domain}/{self.dataset_name}"
