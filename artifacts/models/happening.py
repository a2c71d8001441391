from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from artifacts.models.artifact import Artifact
from artifacts.models.version import ArtifactVersion


class Happening(models.Model):
    """Something that happened, once: a version was published, an alias moved, a check failed, a gate was approved.

    Written in the transaction of the fact and never changed but for what became of it, the last columns. Triggers,
    notifications and all that tells why something is as it is read these rows. `kind` is one of
    `artifacts.happenings.KINDS`.
    """

    kind = models.CharField(max_length=32)
    at = models.DateTimeField()
    project = models.CharField(max_length=64, blank=True, default="")  # where it happened: who reads there may see it
    domain = models.CharField(max_length=64, blank=True, default="")
    # What it happened to, as a person names it: `flytesnacks/development/model@v3`, an execution's key
    subject = models.CharField(max_length=700)
    artifact = models.ForeignKey(
        Artifact, null=True, on_delete=models.CASCADE, related_name="happenings", db_index=False
    )
    version = models.ForeignKey(
        ArtifactVersion, null=True, on_delete=models.PROTECT, related_name="happenings", db_index=False
    )
    execution_key = models.CharField(max_length=255, blank=True, default="")  # `project/domain/name`
    name = models.CharField(max_length=255, blank=True, default="")  # of the alias, the check, the signal
    actor = models.CharField(max_length=150)  # a user's name, or `system:...`
    # The happening that this one follows from: a fall-back from the check that failed.
    cause = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="effects", db_index=False)
    detail = models.JSONField(default=dict)
    # Of what may happen once only, whoever tries: a second one with the same key is not written.
    key = models.CharField(max_length=200, null=True, unique=True)  # noqa: DJ001 - null: any number of them
    handled_at = models.DateTimeField(null=True)  # null: what follows from it is still to be done
    # Of what follows, by name: what broke or asked for another time. It is done again at `retry_at`, or was given up.
    undone = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    retry_at = models.DateTimeField(null=True)
    tries = models.SmallIntegerField(default=0)  # of those that broke

    class Meta:
        indexes = [
            models.Index(fields=["id"], name="happening_open", condition=Q(handled_at__isnull=True)),
            models.Index(fields=["retry_at"], name="happening_again", condition=Q(retry_at__isnull=False)),
            models.Index(fields=["-id"], name="happening_undone", condition=~Q(undone=[])),
            models.Index(fields=["version", "id"], name="happening_version", condition=Q(version__isnull=False)),
            models.Index(
                fields=["artifact", "kind", "-id"], name="happening_artifact", condition=Q(artifact__isnull=False)
            ),
            models.Index(fields=["execution_key", "id"], name="happening_execution", condition=~Q(execution_key="")),
            models.Index(fields=["cause"], name="happening_cause", condition=Q(cause__isnull=False)),
            models.Index(fields=["-at", "-id"], name="happening_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}" + (f":{self.name}" if self.name else "")
