from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from causeway import OnArtifact, start_of
from django.db import connection
from django.test.utils import CaptureQueriesContext
from flyteidl.core import artifact_id_pb2
from flytekit.core.artifact import Artifact as FlyteArtifact
from flytekit.core.artifact import Granularity

from artifacts.exceptions import InvalidArgument
from artifacts.partitions import shift
from scheduler.models import Execution, Trigger, TriggerFiring, TriggerSource
from scheduler.triggers.evaluate import evaluate_version
from scheduler.triggers.matching import matches_of
from tests.artifacts.publishing import START, at_run_time, integer, publish_output
from tests.scheduler.triggers.plans import PRIME, active_plan, register_plan, with_time
from tests.scheduler.triggers.test_evaluate import inputs_of, publish, value

SALES = FlyteArtifact(name="sales", partition_keys=["region", "tier"])
HOURLY = FlyteArtifact(name="ticks", time_partitioned=True, time_partition_granularity=Granularity.HOUR)


@pytest.mark.django_db
def test_matching_looks_into_the_index_of_active_sources() -> None:
    plan = register_plan(OnArtifact(PRIME))
    one = Trigger.objects.get(launch_plan=plan)
    rows = [
        TriggerSource(
            trigger=one, position=number, project="flytesnacks", domain="development", name=f"a{number}", active=True
        )
        for number in range(1, 5000)
    ]
    TriggerSource.objects.bulk_create(rows)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE scheduler_triggersource")
        cursor.execute(
            "EXPLAIN SELECT trigger_id FROM scheduler_triggersource WHERE active AND name = 'a77' "
            "AND project = 'flytesnacks' AND domain = 'development'"
        )
        plan_text = "\n".join(row[0] for row in cursor.fetchall())
    assert "source_active" in plan_text and "Seq Scan" not in plan_text, plan_text


@pytest.mark.django_db
def test_only_one_time_partition_fires_if_the_trigger_says_so(object_store: str) -> None:
    noon = datetime(2026, 5, 17, 12, tzinfo=timezone.utc)
    active_plan(OnArtifact(HOURLY.query(time_partition=noon.replace(tzinfo=None)), inputs={"n": HOURLY}))
    for number, hour in ((1, noon), (2, noon + timedelta(hours=1))):
        metadata = {"_uap": at_run_time({}, hour, 2)}
        published = publish_output(HOURLY, integer(number, metadata), execution=f"e{number}", at=START)
        evaluate_version(published.versions[0][1].pk)
    assert value(inputs_of(Execution.objects.get())["n"]) == 1
    filtered = TriggerFiring.objects.get(outcome="filtered")
    assert filtered.reason == "watches time partition 2026-05-17T12:00:00Z"


@pytest.mark.django_db
def test_an_input_takes_the_start_of_the_day_before(object_store: str) -> None:
    before = start_of("day", HOURLY.time_partition) - timedelta(days=1)
    active_plan(OnArtifact(HOURLY, inputs={"n": HOURLY, "at": before}), with_time)
    metadata = {"_uap": at_run_time({}, datetime(2026, 5, 17, 13, tzinfo=timezone.utc), 2)}
    evaluate_version(publish_output(HOURLY, integer(1, metadata), at=START).versions[0][1].pk)
    assert value(inputs_of(Execution.objects.get())["at"]) == "2026-05-16T00:00:00Z"


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        ("P1DT1H", "2026-03-02T01:30"),
        ("start_of=month", "2026-03-01T00:00"),
        ("start_of=month;-PT1S;start_of=month", "2026-02-01T00:00"),
        ("-PT45M;start_of=hour", "2026-02-28T23:00"),
    ],
)
def test_steps_follow_one_another(transform: str, expected: str) -> None:
    moment = datetime(2026, 3, 1, 0, 30, tzinfo=timezone.utc)
    found = shift(moment, artifact_id_pb2.TimeTransform(transform=transform, op=artifact_id_pb2.PLUS))
    assert found == datetime.fromisoformat(expected).replace(tzinfo=timezone.utc)


def test_it_refuses_a_unit_that_is_none() -> None:
    with pytest.raises(InvalidArgument, match="start_of=week: the units are minute, hour, day, month"):
        shift(START, artifact_id_pb2.TimeTransform(transform="start_of=week"))


@pytest.mark.django_db
def test_triggers_that_do_not_match_cost_one_statement_together_and_each_is_noted(object_store: str) -> None:
    def evaluate(number: int) -> int:
        with CaptureQueriesContext(connection) as queries:
            evaluate_version(publish(SALES(region="SEA", tier="1"), execution=f"e{number}").pk)
        return len(queries)

    active_plan(OnArtifact(SALES.query(region="LAX"), inputs={"n": SALES}), name="lax")
    few = evaluate(1)
    for number in range(12):
        active_plan(OnArtifact(SALES.query(region=f"r{number}"), inputs={"n": SALES}), name=f"plan{number}")
    trigger = Trigger.objects.order_by("pk")[0]
    more = {"project": "flytesnacks", "domain": "development", "name": "sales", "active": True}
    noon = datetime(2026, 5, 17, 12, tzinfo=timezone.utc)
    for position, (values, moment) in enumerate([({"tier": "2", "region": "SEA"}, None), ({}, noon)], start=1):
        trigger.sources.create(position=position, partitions=values, time_partition=moment, **more)
    assert evaluate(2) <= few
    noted = TriggerFiring.objects.filter(version__execution_key__endswith="e2")
    watched = {match.trigger.pk: match.watches() for match in matches_of(TriggerSource.objects.all())}
    assert {firing.trigger_id: firing.reason for firing in noted if firing.outcome == "filtered"} == watched
    assert noted.count() == len(watched) == 13
    assert watched[trigger.pk] == "watches region=LAX or region=SEA, tier=2 or time partition 2026-05-17T12:00:00Z"
