from __future__ import annotations

from django.db import models

from scheduler.models.attempt import TaskExecution


class ConnectorSettings(models.Model):
    """A connector service that was set while Causeway runs; those of the settings have no row.

    `description` is what scheduler.executors.connectors.connector reads, without the name.
    """

    name = models.CharField(max_length=32, unique=True)
    description = models.JSONField(default=dict)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    updated_by = models.CharField(max_length=150)
    updated_at = models.DateTimeField()

    class Meta:
        verbose_name = "connector"
        verbose_name_plural = "connectors"

    def __str__(self) -> str:
        return self.name


class ConnectorCatalogue(models.Model):
    """What a connector service said it runs: placement reads it, also while the service is down."""

    name = models.CharField(max_length=32, primary_key=True)  # of the connector
    endpoint = models.CharField(max_length=255)  # which answered; of another one the answer means nothing
    # [{"agent": name, "type": task type, "version": of the type, "sync": whether it answers in one call}]
    types = models.JSONField(default=list)
    read_at = models.DateTimeField(null=True)  # when it last answered; none: it never has
    asked_at = models.DateTimeField()
    problem = models.TextField(blank=True, default="")  # why it does not answer; empty: it did when last asked

    def __str__(self) -> str:
        return self.name


class ConnectorJob(models.Model):
    """What a connector made for an attempt, written before anything else is done with it.

    A row without `created_at` says that the service was asked and that no answer is known: only that it may have
    begun. Where a job can be seen (`links`, `info`) is kept with the attempt.
    """

    attempt = models.OneToOneField(
        TaskExecution, on_delete=models.CASCADE, primary_key=True, related_name="connector_job"
    )
    connector = models.CharField(max_length=32)
    sync = models.BooleanField(default=False)
    asked_at = models.DateTimeField()
    resource_meta = models.BinaryField(default=bytes)  # of the service, in its own form
    created_at = models.DateTimeField(null=True)
    links = models.JSONField(default=list)  # [[name, address]]
    info = models.JSONField(default=dict)  # what the service says of the job, as it says it

    def __str__(self) -> str:
        return str(self.attempt_id)
