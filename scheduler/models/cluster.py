from __future__ import annotations

from django.db import models


class ClusterSettings(models.Model):
    """A Kubernetes cluster that was set while Causeway runs; those of the settings file have no row.

    `description` is what scheduler.executors.kubernetes.cluster reads, without the name. `sealed` is the text of its
    kubeconfig, encrypted (scheduler.secrets.cipher); empty: the description names a file, or Causeway runs on it.
    """

    name = models.CharField(max_length=32, unique=True)
    description = models.JSONField(default=dict)
    sealed = models.BinaryField(default=bytes)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    updated_by = models.CharField(max_length=150)
    updated_at = models.DateTimeField()

    class Meta:
        verbose_name = "cluster"
        verbose_name_plural = "clusters"

    def __str__(self) -> str:
        return self.name
