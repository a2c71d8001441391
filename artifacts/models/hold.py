from __future__ import annotations

from django.db import models
from django.db.models import Q

from artifacts.models.artifact import Artifact
from artifacts.models.version import ArtifactVersion


class Hold(models.Model):
    """Somebody's word that a version, or all of an artifact, must stay.

    A legal hold keeps from every removal, whoever asks for it, until it is released with a reason. A pin keeps from
    retention and from removing by hand; whoever may set it takes it away.
    """

    class Kind(models.TextChoices):
        LEGAL = "legal"
        PIN = "pin"

    kind = models.CharField(max_length=5, choices=Kind.choices)
    artifact = models.ForeignKey(Artifact, on_delete=models.PROTECT, related_name="holds")
    version = models.ForeignKey(ArtifactVersion, null=True, on_delete=models.PROTECT, related_name="holds")  # null: all
    reason = models.TextField()
    set_by = models.CharField(max_length=150)
    set_at = models.DateTimeField()
    released_by = models.CharField(max_length=150, blank=True, default="")
    released_at = models.DateTimeField(null=True)
    release_reason = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "version"], condition=Q(released_at__isnull=True), name="hold_once_a_version"
            ),
            models.UniqueConstraint(
                fields=["kind", "artifact"],
                condition=Q(released_at__isnull=True, version__isnull=True),
                name="hold_once_an_artifact",
            ),
            models.CheckConstraint(condition=Q(kind="legal") | Q(version__isnull=False), name="hold_pins_a_version"),
        ]
        indexes = [
            models.Index(fields=["version"], name="hold_version", condition=Q(released_at__isnull=True)),
            models.Index(fields=["artifact"], name="hold_artifact", condition=Q(released_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} hold of {self.version or self.artifact}"


class Erasure(models.Model):
    """A version that was erased, what had been made of it then, and what that freed."""

    version = models.ForeignKey(ArtifactVersion, on_delete=models.PROTECT, related_name="erasures")
    reason = models.TextField()
    actor = models.CharField(max_length=150)
    at = models.DateTimeField()
    with_derived = models.BooleanField()
    derived = models.JSONField(default=list)  # {"id", "version", "steps"} of everything made of it, gone or not
    erased = models.JSONField(default=list)  # ids of what went, itself among them
    bytes_before = models.BigIntegerField()  # in the store, of all that went
    bytes_after = models.BigIntegerField(null=True)  # of the same, looked at afterwards; null: not yet

    class Meta:
        indexes = [models.Index(fields=["version"], name="erasure_version")]

    def __str__(self) -> str:
        return f"{self.version} erased by {self.actor}"
