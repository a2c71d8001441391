from __future__ import annotations

from django.db import models
from django.db.models.functions import Lower


class Connection(models.Model):
    """Where a system of others is and as whom one logs in there, for tasks that ask for it by name.

    What is shown stands in columns, what is not (the password, a token, a private key) is sealed together
    (scheduler.secrets.cipher). An empty project means all projects, an empty domain all domains of the project.
    """

    project = models.CharField(max_length=64, blank=True, default="")
    domain = models.CharField(max_length=64, blank=True, default="")
    name = models.CharField(max_length=63)
    kind = models.CharField(max_length=63, blank=True, default="")  # the scheme of its address: postgresql, s3
    host = models.CharField(max_length=255, blank=True, default="")
    port = models.PositiveIntegerField(null=True, blank=True)
    user = models.CharField(max_length=255, blank=True, default="")
    database = models.CharField(max_length=255, blank=True, default="")
    options = models.JSONField(default=dict, blank=True)  # plain values by name
    secret_names = models.JSONField(default=list)  # of what is sealed
    sealed = models.BinaryField(default=bytes)  # JSON, by those names; empty: nothing is
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    updated_by = models.CharField(max_length=150)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint("project", "domain", Lower("name"), name="connection_unique")]

    def __str__(self) -> str:
        return self.name
