"""What runs upwards: a published version wakes the triggers, and a happening what follows from it, after the commit."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_save

from artifacts.governance.checks import data_wanted
from artifacts.happenings import recorded
from artifacts.models import ArtifactVersion, CheckResult, Happening
from scheduler.wake import wake_data_checks, wake_happening, wake_triggers


def version_published(sender: object, instance: ArtifactVersion, created: bool, **kwargs: Any) -> None:
    """Only enqueues. A lost wake-up is made up by the sweep, which looks for versions not evaluated yet."""
    if created and instance.triggers_evaluated_at is None:
        wake_triggers(instance.pk)


def happenings_recorded(sender: object, ids: list[int], **kwargs: Any) -> None:
    """Only enqueues, as above."""
    for happening_id in ids:
        wake_happening(happening_id)


def data_checks_wanted(sender: object, version_ids: list[int], **kwargs: Any) -> None:
    """Only enqueues, as above."""
    for version_id in version_ids:
        wake_data_checks(version_id)


def connect() -> None:
    post_save.connect(version_published, sender=ArtifactVersion, dispatch_uid="scheduler.version_published")
    recorded.connect(happenings_recorded, sender=Happening, dispatch_uid="scheduler.happenings_recorded")
    data_wanted.connect(data_checks_wanted, sender=CheckResult, dispatch_uid="scheduler.data_checks_wanted")
