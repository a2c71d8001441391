"""The only thing that runs upwards: a published artifact version wakes the triggers, after its commit."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_save

from artifacts.models import ArtifactVersion
from scheduler.wake import wake_triggers


def version_published(sender: object, instance: ArtifactVersion, created: bool, **kwargs: Any) -> None:
    """Only enqueues. A lost wake-up is made up by the sweep, which looks for versions not evaluated yet."""
    if created:
        wake_triggers(instance.pk)


def connect() -> None:
    post_save.connect(version_published, sender=ArtifactVersion, dispatch_uid="scheduler.version_published")
