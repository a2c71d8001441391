"""The executor's role in the database may what the executor does, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection, transaction

from console.accounts.models import User
from console.executor_rights import RIGHTS, NotGranted, grant
from scheduler.actions.clusters import set_cluster
from scheduler.actions.quotas import Setter, Wanted, scope_of, set_quota
from scheduler.attempts import claims, reports
from scheduler.attempts.observations import Ended, Running, Used
from scheduler.attempts.outcomes import Outcome
from scheduler.attempts.resources import Resources
from scheduler.executors.kubernetes import clusters
from scheduler.executors.kubernetes.connection import api_of
from scheduler.executors.packing import MachinePacking
from scheduler.models import AttemptSamples, ExecutorInstance, NodeExecution, PhaseEvent, TaskExecution
from scheduler.phases import AttemptPhase, NodePhase
from scheduler.secrets.lookup import SecretNotSet, mounts_for
from scheduler.secrets.names import Name, Request
from tests.scheduler.attempts import make_attempt
from tests.scheduler.executors.kubernetes.kubeconfigs import NOBODY, kubeconfig

pytestmark = pytest.mark.django_db
MACHINE = Resources(cpu=4, memory=8 << 30)
NOW = datetime(2026, 11, 28, 12, tzinfo=timezone.utc)
ROLE = f"executor_{os.getpid()}"  # roles are the server's, which several test runs share


def sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def role() -> str:
    """Gone with the test's transaction."""
    sql(f"CREATE ROLE {ROLE} LOGIN")
    return ROLE


@contextmanager
def acting_as(role: str) -> Iterator[None]:
    sql(f"SET LOCAL ROLE {role}")
    try:
        yield
    finally:
        sql("RESET ROLE")


def test_it_reads_the_clusters_that_are_set_and_sets_none(role: str) -> None:
    set_cluster("gpu", {"image": "a:1"}, kubeconfig_text=kubeconfig(), actor="root")
    grant(role)
    with acting_as(role):
        assert set(clusters.to_keep()) == {"gpu"}
        assert api_of(clusters.cluster("gpu")).host == NOBODY
        assert refused("UPDATE scheduler_clustersettings SET name = 'other'")
        assert refused("DELETE FROM scheduler_clustersettings")


def refused(statement: str) -> bool:
    try:
        with transaction.atomic():
            sql(statement)
    except ProgrammingError as error:
        assert "permission denied" in str(error), error
        return True
    return False


def test_an_executor_does_its_work_with_it(role: str) -> None:
    grant(role)
    row, unfit = make_attempt(resources={"cpu": 1}), make_attempt(resources={"cpu": 9})
    lost = make_attempt(phase=AttemptPhase.RUNNING, claimed_by="gone")
    ExecutorInstance.objects.create(name="gone", executor="local", started_at=NOW, seen_at=NOW - timedelta(hours=9))
    NodeExecution.objects.filter(pk=row.node_id).update(phase=NodePhase.QUEUED)
    with acting_as(role):
        for starting in (True, False):
            claims.heartbeat("one", "local", MACHINE, now=NOW, starting=starting)
        (claimed,) = claims.claim("local", "one", MachinePacking(MACHINE, MACHINE, now=NOW), now=NOW).rows
        assert [held.pk for held in claims.held_by("one")] == [row.pk]
        assert claims.cancelled("one") == []
        reports.report_running([Running(row.pk, "1:1", NOW)], actor="one")
        with pytest.raises(SecretNotSet):
            mounts_for(row.pk, [Request(Name("g", "k", ""), "ANY", "")])
        done = Outcome(AttemptPhase.SUCCEEDED, output_uri="/o/outputs.pb")
        assert reports.report_ends([Ended(claimed.pk, done, NOW)], actor="one") == 1
        assert claims.expire_lost("local", now=NOW, silent_for=timedelta(hours=1), actor="one") == 1
    for attempt in (row, unfit, lost):
        attempt.refresh_from_db()
    assert (row.phase, row.output_uri) == (AttemptPhase.SUCCEEDED, "/o/outputs.pb")
    assert (unfit.phase, lost.phase) == (AttemptPhase.FAILED, AttemptPhase.FAILED)
    assert NodeExecution.objects.get(pk=row.node_id).phase == NodePhase.RUNNING
    assert PhaseEvent.objects.filter(machine="attempt", object_id=row.pk, actor="one").count() == 3


def test_it_keeps_what_processes_use_with_it(role: str) -> None:
    row = make_attempt()
    grant(role)
    with acting_as(role):
        for after in (5.0, 10.0):  # the second one adds to the first
            reports.report([Used(row.pk, after, 1.5, 2_000, after)], actor="e")
    assert AttemptSamples.objects.get(attempt=row).points == [[5.0, 1.5, 2000, None], [10.0, 1.5, 2000, None]]


def test_it_claims_in_turns_with_it(role: str) -> None:
    """Also what an older release queued without a lane."""
    grant(role)
    rows = [make_attempt(resources={"cpu": 1}, lane=None) for _ in range(3)]
    set_quota(Wanted(scope_of(), "attempts", 2), by=Setter("root", platform=True))
    with acting_as(role):
        claimed = claims.claim("local", "one", MachinePacking(MACHINE, MACHINE, now=NOW), now=NOW).rows
        assert [row.pk for row in claimed] == [row.pk for row in rows[:2]]
        assert refused('UPDATE scheduler_quota SET "limit" = 9')
        assert refused("DELETE FROM scheduler_lane")


def test_every_table_that_is_not_named_is_closed(role: str) -> None:
    grant(role)
    named = {model._meta.db_table for model, _, _ in RIGHTS}
    tables = {model._meta.db_table for model in apps.get_models(include_auto_created=True)}
    sql("CREATE TABLE made_tomorrow (secret text)")
    assert len(tables - named) > 20
    with acting_as(role):
        for table in sorted(tables - named) + ["made_tomorrow"]:
            for statement in ("SELECT FROM {}", "DELETE FROM {}", "TRUNCATE {}"):
                assert refused(statement.format(table)), (statement, table)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT password FROM accounts_user",
        "SELECT * FROM accounts_user",
        "UPDATE accounts_user SET is_superuser = true",
        "INSERT INTO accounts_rolebinding (user_id, role) VALUES (1, 'admin')",
        "SELECT uri FROM artifacts_artifactversion",
        "UPDATE scheduler_execution SET principal = 'admin'",
        "SELECT spec FROM scheduler_execution",
        "UPDATE scheduler_taskexecution SET command = '{}'",
        "UPDATE scheduler_taskexecution SET handled = true",
        "DELETE FROM scheduler_taskexecution",
        "DELETE FROM scheduler_phaseevent",
        "SELECT * FROM scheduler_phaseevent",
        "UPDATE scheduler_phaseevent SET actor = 'somebody'",
        "SELECT state FROM scheduler_nodeexecution",
        "UPDATE scheduler_nodeexecution SET output_uri = '/elsewhere'",
        "UPDATE scheduler_secret SET project = ''",
        "DELETE FROM scheduler_executorinstance",
        "CREATE TABLE public.mine (a int)",
        "SET ROLE postgres",
    ],
)
def test_of_the_tables_that_are_named_only_what_is_needed_is_open(role: str, statement: str) -> None:
    grant(role)
    sql(f"SET SESSION AUTHORIZATION {role}")  # rolled back with the transaction
    try:
        assert refused(statement)
    finally:
        sql("RESET SESSION AUTHORIZATION")


def test_rights_of_before_are_taken(role: str) -> None:
    sql(f"GRANT ALL ON accounts_apitoken, scheduler_secret TO {role}")
    sql(f"GRANT SELECT (password) ON accounts_user TO {role}")
    grant(role)
    grant(role)
    with acting_as(role):
        assert refused("SELECT FROM accounts_apitoken")
        assert refused("SELECT password FROM accounts_user")
        assert refused("DELETE FROM scheduler_secret")
        assert not refused("SELECT sealed FROM scheduler_secret")


def test_the_command_grants_too(role: str) -> None:
    call_command("grant_executor", role, verbosity=0)
    with acting_as(role):
        assert list(TaskExecution.objects.all()) == []
        assert list(User.objects.values_list("username")) == []


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: None, "there is no role"),
        (lambda: sql(f"CREATE ROLE {ROLE} SUPERUSER"), "is a superuser"),
        (lambda: sql(f"CREATE ROLE {ROLE} BYPASSRLS"), "is a superuser"),
        (
            lambda: sql(
                f"CREATE ROLE {ROLE}; CREATE ROLE {ROLE}_owner; GRANT {ROLE}_owner TO {ROLE};"
                f"ALTER TABLE scheduler_taskexecution OWNER TO {ROLE}_owner"
            ),
            "owns Causeway's tables",
        ),
    ],
)
def test_it_refuses_a_role_that_rights_do_not_bind(make: Callable[[], None], reason: str) -> None:
    make()
    with pytest.raises(NotGranted, match=reason):
        grant(ROLE)
    with pytest.raises(CommandError, match=reason):
        call_command("grant_executor", ROLE)
