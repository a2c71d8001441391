"""The schema `causeway`: what its columns are, what they say, and that drivers of the field read them."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from artifacts.models import Alias, AliasMove, Metric
from console.sqlviews import policies, schema
from console.sqlviews.definitions import VIEWS
from lineage.models import VersionEdge
from scheduler.models import Execution, Lane, Project, TaskExecution, UsageHour
from scheduler.phases import ExecutionPhase
from tests.console.pages.cast import make_world
from tests.console.sql_readers import reader, rows

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def project() -> None:
    Project.objects.get_or_create(identifier="demo", defaults={"name": "demo"})


COLUMNS = """
    SELECT relname, attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum)
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'causeway'::regnamespace AND relkind = 'v' AND attnum > 0
"""
# A reader's dashboards are built on these: adding is fine, changing one is not.
CONTRACT = {
    "artifacts": "id bigint, project text, domain text, artifact text, kind text, description text, "
    "partition_keys text[], granularity text, created_at timestamptz",
    "versions": "id bigint, artifact_id bigint, project text, domain text, artifact text, version text, kind text, "
    "partitions jsonb, time_partition timestamptz, uri text, size_bytes bigint, content_hash text, execution_key text, "
    "created_by text, metrics jsonb, metadata jsonb, created_at timestamptz, removed_at timestamptz, "
    "is_shadow boolean",
    "partitions": "id bigint, artifact_id bigint, project text, domain text, artifact text, partitions jsonb",
    "metrics": "id bigint, version_id bigint, project text, domain text, artifact text, metric text, value float8",
    "aliases": "id bigint, artifact_id bigint, project text, domain text, artifact text, alias text, "
    "version_id bigint, moved_at timestamptz, partitions jsonb",
    "alias_moves": "id bigint, artifact_id bigint, project text, domain text, artifact text, alias text, "
    "from_version_id bigint, to_version_id bigint, at timestamptz, actor text, reason text, "
    "partitions jsonb",
    "edges": "id bigint, version_id bigint, project text, domain text, artifact text, execution_key text, "
    "node_id text, attempt integer, variable text, role text, via text, at timestamptz",
    "derivations": "id bigint, source_id bigint, target_id bigint",
    "executions": "id bigint, key text, project text, domain text, name text, launch_plan text, "
    "launch_plan_version text, phase text, mode text, principal text, error_code text, abort_cause text, "
    "tags text[], archived boolean, created_at timestamptz, started_at timestamptz, ended_at timestamptz, "
    "updated_at timestamptz, contest_id bigint",
    "nodes": "id bigint, execution_id bigint, execution_key text, project text, domain text, node_id text, kind text, "
    "phase text, attempts integer, error_code text, created_at timestamptz, started_at timestamptz, "
    "ended_at timestamptz",
    "attempts": "id bigint, node bigint, execution_id bigint, execution_key text, project text, domain text, "
    "node_id text, attempt integer, item integer, phase text, executor text, cluster text, reason text, "
    "error_code text, cpu float8, memory_bytes float8, gpu float8, created_at timestamptz, started_at timestamptz, "
    "ended_at timestamptz",
    "approvals": "id bigint, execution_id bigint, execution_key text, project text, domain text, signal_id text, "
    "kind text, waiting_since timestamptz, expires_at timestamptz, decided_at timestamptz, decided_by text, "
    "comment text",
    "triggers": "id bigint, project text, domain text, launch_plan text, launch_plan_version text, mode text, "
    "active boolean, activated_at timestamptz, activated_by text, paused_at timestamptz",
    "trigger_sources": "id bigint, trigger_id bigint, project text, domain text, artifact text, partitions jsonb",
    "firings": "id bigint, trigger_id bigint, project text, domain text, launch_plan text, version_id bigint, "
    "outcome text, reason text, execution_id bigint, execution_key text, published_at timestamptz, at timestamptz, "
    "latency_ms float8, tries integer",
    "schedules": "id bigint, project text, domain text, launch_plan text, launch_plan_version text, kind text, "
    "expression text, active boolean, paused_at timestamptz, last_fire_at timestamptz, next_fire_at timestamptz",
    "schedule_fires": "id bigint, schedule_id bigint, project text, domain text, launch_plan text, "
    "fire_at timestamptz, execution_id bigint, execution_key text, error text",
    "usage": "hour timestamptz, project text, domain text, principal text, launch_plan text, attempts integer, "
    "seconds float8, core_seconds float8, memory_byte_seconds float8, gpu_seconds float8",
    "decisions": "id bigint, approval_id bigint, promotion_id bigint, project text, domain text, execution_key text, "
    "approved boolean, at timestamptz, rule jsonb, votes jsonb, digest text, voided_at timestamptz, void_reason text",
    "votes": "id bigint, approval_id bigint, promotion_id bigint, project text, domain text, execution_key text, "
    "actor text, acting_for text, approve boolean, comment text, at timestamptz, voided_at timestamptz",
    "promotions": "id bigint, project text, domain text, artifact text, source_id bigint, target_id bigint, "
    "state text, alias text, reason text, requested_by text, requested_at timestamptz, ended_at timestamptz",
    "holds": "id bigint, project text, domain text, artifact text, version_id bigint, kind text, reason text, "
    "set_by text, set_at timestamptz, released_at timestamptz, released_by text",
    "contests": "id bigint, project text, domain text, model text, alias text, dataset_project text, "
    "dataset_domain text, dataset text, members text[], metric text, better text, shadow_plan text, "
    "set_by text, set_at timestamptz, removed_at timestamptz",
    "service_levels": "id bigint, project text, domain text, kind text, name text, partitions jsonb, time text, "
    "zone text, seconds float8, set_at timestamptz, removed_at timestamptz",
    "level_outcomes": "id bigint, level_id bigint, project text, domain text, met boolean, at timestamptz, "
    "until timestamptz, value float8, subject text",
}
SHORT = {"timestamp with time zone": "timestamptz", "double precision": "float8"}


def sql(query: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def test_names_and_types_of_columns_are_a_contract() -> None:
    found: dict[str, list[str]] = {}
    for view, column, kind, comment in sql(f"{COLUMNS} ORDER BY relname, attnum"):
        found.setdefault(view, []).append(f"{column} {SHORT.get(kind, kind)}")
        assert comment, f"{view}.{column} is not documented"
    assert {view: ", ".join(columns) for view, columns in found.items()} == CONTRACT
    undocumented = sql(
        "SELECT relname FROM pg_class WHERE relnamespace = 'causeway'::regnamespace AND relkind = 'v'"
        " AND obj_description(oid) IS NULL"
    )
    assert not undocumented


def test_every_row_of_a_world_is_there_as_it_is(object_store: str) -> None:
    world = make_world()
    Metric.objects.create(version=world.model, name="accuracy", value=0.5)
    Alias.objects.create(artifact=world.model.artifact, name="best", version=world.model, moved_at=timezone.now())
    AliasMove.objects.create(
        artifact=world.model.artifact, name="best", to_version=world.model, at=timezone.now(), actor="a"
    )
    Lane.objects.create(id=7, project="demo", domain="development", user="ann", demand={"cpu": 2, "nvidia.com/gpu": 1})
    UsageHour.objects.create(hour=timezone.now(), lane=7, seconds=10.0, attempts=3)
    UsageHour.objects.create(hour=timezone.now(), lane=0, seconds=0.0, attempts=0)
    with reader("demo") as (_, where):
        for view in VIEWS:
            rows(where, f"TABLE {view.name}")  # each can be read as a whole
        phases = dict(rows(where, "SELECT key, phase FROM executions"))
        expected = {one.key: ExecutionPhase(one.phase).name for one in Execution.objects.all()}
        assert phases == expected and "FAILED" in phases.values()
        assert len(rows(where, "SELECT * FROM attempts")) == TaskExecution.objects.count() > 0
        assert rows(where, "SELECT metric, value FROM metrics WHERE artifact = 'ml-model' AND metric = 'accuracy'") == [
            ("accuracy", 0.5)
        ]
        made = rows(where, "SELECT id, execution_key, created_at FROM versions")
        assert (world.model.pk, world.model.execution_key, world.model.created_at) in made
        assert rows(where, "SELECT core_seconds, gpu_seconds, principal FROM usage") == [(20.0, 10.0, "ann")]
        joined = rows(where, "SELECT count(*) FROM edges JOIN executions ON key = execution_key")
        assert joined == [(VersionEdge.objects.filter(execution_key__in=phases).count(),)]


TABLES = """
SELECT DISTINCT below.relname, below.relrowsecurity FROM pg_rewrite
JOIN pg_class view ON view.oid = ev_class AND view.relnamespace = 'causeway'::regnamespace
JOIN pg_depend ON classid = 'pg_rewrite'::regclass AND objid = pg_rewrite.oid
JOIN pg_class below ON refclassid = 'pg_class'::regclass AND below.oid = refobjid AND below.relkind = 'r'
"""


def test_every_table_below_a_view_asks_whose_its_rows_are() -> None:
    tables = dict(sql(TABLES))
    asked = {name for name, secured in tables.items() if secured}
    assert asked == tables.keys() - set(policies.READ_BESIDE) == set(policies.POLICIES)
    seen = sql(f"SELECT tablename FROM pg_policies WHERE policyname = '{policies.FOR_VIEWER}'")  # noqa: S608
    assert {name for (name,) in seen} == asked


def test_views_that_lost_their_role_are_made_anew() -> None:
    """As in a database that was restored by somebody else."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER VIEW causeway.usage OWNER TO CURRENT_USER")
        assert not policies.in_place(cursor)
    assert schema.make() is True
    with connection.cursor() as cursor:
        assert policies.in_place(cursor)


def test_an_execution_s_key_is_what_an_index_holds() -> None:
    """The plan itself says nothing here: of a table of a few rows any way may be taken, and an index that is younger
    than somebody's transaction is not.
    """
    (view,) = sql("SELECT pg_get_viewdef('causeway.executions'::regclass)")[0]
    indexed = sql(
        "SELECT pg_get_expr(indexprs, indrelid) FROM pg_index WHERE indrelid = 'scheduler_execution'::regclass"
    )
    shown = re.search(r"^\s*(.*) AS key,$", view, re.MULTILINE)
    assert shown
    assert _bare(shown[1].replace("e.", "")) in {_bare(expression) for (expression,) in indexed if expression}


def _bare(expression: str) -> str:
    return re.sub(r"[()\s]", "", expression)


def test_they_are_made_anew_after_migrations_and_not_without_need() -> None:
    assert schema.make() is False
    with connection.cursor() as cursor:
        cursor.execute("DROP VIEW causeway.usage; COMMENT ON SCHEMA causeway IS 'older'")
    with reader("demo") as (_, where):
        call_command("migrate", verbosity=0)
        assert rows(where, "SELECT count(*) FROM usage") == [(0,)]  # and readers may as before
    name = connection.settings_dict["NAME"]
    kept = "SELECT setconfig FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase WHERE setrole = 0"
    assert sql(f"{kept} AND datname = '{name}'") == [(["search_path=public"],)]  # the role `causeway` finds its tables


def test_migrations_find_no_view_in_their_way() -> None:
    schema.drop()
    assert sql("SELECT to_regnamespace('causeway')") == [(None,)]
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE scheduler_usagehour ALTER COLUMN seconds TYPE real")
        cursor.execute("ALTER TABLE scheduler_usagehour ALTER COLUMN seconds TYPE double precision")
    assert schema.make() is True


def test_psql_and_sqlalchemy_read_them(object_store: str) -> None:
    make_world()
    with reader("demo") as (_, where):
        expected = len(rows(where, "SELECT * FROM executions WHERE phase = 'FAILED'"))
        address = " ".join(f"{key}={value}" for key, value in where.items())
        said = subprocess.run(
            ["psql", address, "-tAc", "SELECT count(*) FROM executions WHERE phase = 'FAILED'"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert int(said.stdout) == expected > 0

        import sqlalchemy as sa

        engine = sa.create_engine("postgresql+psycopg://", connect_args=where)
        found = sa.inspect(engine)
        assert set(found.get_view_names("causeway")) == set(CONTRACT)
        table = sa.Table("executions", sa.MetaData(), schema="causeway", autoload_with=engine)
        assert isinstance(table.c.created_at.type, sa.TIMESTAMP) and table.c.created_at.type.timezone
        with engine.connect() as session:
            query = sa.select(sa.func.count()).select_from(table).where(table.c.phase == "FAILED")
            assert session.execute(query).scalar() == expected
        engine.dispose()
