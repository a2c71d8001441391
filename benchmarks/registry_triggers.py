"""10,000 triggers, watching as many artifacts or all the same one, in a transaction that is undone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

from django.db import connection, transaction

from artifacts.models import ArtifactVersion
from scheduler.models import LaunchPlan, Trigger, TriggerSource, Workflow

LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)
PLACE = {"project": "flytesnacks", "domain": "production"}


@contextmanager
def with_triggers(count: int, *, one_artifact: bool) -> Iterator[ArtifactVersion]:
    """The newest version of an artifact that three triggers watch, or all of them: each for a partition of its own."""
    registered: dict[str, Any] = {**PLACE, "version": "1", "digest": b"", "closure": b"", "spec": b""}
    with transaction.atomic():
        workflow = Workflow.objects.create(**registered, name="benchmark")
        plans = LaunchPlan.objects.bulk_create(
            LaunchPlan(**registered, name=f"benchmark{n}", workflow=workflow, state=LaunchPlan.State.ACTIVE)
            for n in range(count)
        )
        names = ["ml-dataset" if one_artifact or n < 3 else f"watched{n}" for n in range(count)]
        triggers = Trigger.objects.bulk_create(
            Trigger(
                **{f"artifact_{key}": value for key, value in PLACE.items()},
                launch_plan=plan,
                artifact_name=name,
                condition=b"",
                active=True,
                activated_at=LONG_AGO,
            )
            for plan, name in zip(plans, names, strict=True)
        )
        TriggerSource.objects.bulk_create(
            TriggerSource(**PLACE, trigger=one, position=0, name=name, partitions={"region": f"only{n}"}, active=True)
            for n, (one, name) in enumerate(zip(triggers, names, strict=True))
        )
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE scheduler_trigger; ANALYZE scheduler_triggersource")
        newest = ArtifactVersion.objects.filter(artifact__name="ml-dataset").order_by("-created_at", "-pk")
        yield newest.select_related("artifact")[0]
        transaction.set_rollback(True)
