from __future__ import annotations

from django.db import models
from django.db.models.functions import Lower


class Secret(models.Model):
    """A value that tasks of a project may ask for by name, encrypted (scheduler.secrets.cipher).

    Named as flytekit's Secret names it: a group, a key, or both, and perhaps a version of the group. An empty project
    means all projects, an empty domain all domains of the project. Upper and lower case are one name, because flytekit
    looks for environment variables in upper case and for files in lower case.
    """

    project = models.CharField(max_length=64, blank=True, default="")
    domain = models.CharField(max_length=64, blank=True, default="")
    group = models.CharField(max_length=253, blank=True, default="")
    key = models.CharField(max_length=253, blank=True, default="")
    version = models.CharField(max_length=253, blank=True, default="")
    sealed = models.BinaryField()
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    updated_by = models.CharField(max_length=150)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "project", "domain", Lower("group"), Lower("key"), Lower("version"), name="secret_unique"
            ),
            models.CheckConstraint(condition=~models.Q(group="", key=""), name="secret_named"),
        ]

    def __str__(self) -> str:
        return "/".join(part for part in (self.group, self.version, self.key) if part)
