"""Readers: what they see, who makes them, and that no SQL gets them further."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from pytest_django import Settings

from artifacts.exceptions import AlreadyExists, FailedPrecondition, InvalidArgument, PermissionDenied
from audit.models import AuditEvent
from console.accounts import tokens
from console.accounts.models import Reader, Role, RoleBinding, User
from console.sqlviews import readers
from console.sqlviews.definitions import VIEWS
from console.tasks import watch_readers
from scheduler.models import Project
from tests.console.pages.cast import make_world
from tests.console.rest.rows import make_execution
from tests.console.sql_readers import MINE, conninfo, reader, rows

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def projects() -> None:
    for name in ("demo", "other"):
        Project.objects.get_or_create(identifier=name, defaults={"name": name})


def test_each_sees_its_places_alone(projects: None, object_store: str) -> None:
    make_world()  # in demo/development
    make_execution("hidden", project="other")
    with reader("demo") as (_, a), reader("other/development", name="b") as (_, b), reader("*", name="c") as (_, c):
        for view in VIEWS:
            mine, whole = (len(rows(one, f"TABLE {view.name}")) for one in (a, c))
            assert mine <= whole
            if "project" in {column.name for column in view.columns}:
                found = rows(b, f"SELECT * FROM {view.name} WHERE project <> 'other'")  # noqa: S608 - a name of ours
                assert found == [], view.name
        assert rows(b, "SELECT key FROM executions") == [("other/development/hidden",)]
        assert rows(a, "SELECT key FROM executions WHERE project = 'other'") == []
        assert len(rows(a, "SELECT * FROM versions")) > 0 == len(rows(b, "SELECT * FROM versions"))
    with reader("other/production") as (_, d):
        assert rows(d, "SELECT * FROM executions") == []


# What somebody may try who knows the tables. Each has to fail, or to say nothing of `other`.
REFUSED = [
    "SELECT * FROM public.scheduler_execution",
    "SELECT * FROM scheduler_execution",
    "SELECT password FROM public.accounts_user",
    "SELECT * FROM public.accounts_readerscope",
    "INSERT INTO public.accounts_readerscope (reader_id, project, domain) VALUES (1, '', '')",
    "UPDATE causeway.executions SET phase = 'FAILED'",
    "DELETE FROM causeway.artifacts",
    "EXPLAIN SELECT * FROM causeway.executions WHERE project = 'other'",
    "EXPLAIN ANALYZE SELECT * FROM causeway.executions WHERE project = 'other'",
    "/* so */ explain (analyze, costs off) SELECT * FROM causeway.executions",
    "PREPARE p AS SELECT * FROM causeway.executions; EXPLAIN EXECUTE p",
    "DO $$ BEGIN PERFORM 1; END $$",
    "DO $$ BEGIN EXECUTE 'exp' || 'lain analyze select * from causeway.executions'; END $$",
    "CREATE FUNCTION f(text) RETURNS bool LANGUAGE sql AS 'SELECT true'",
    "CREATE FUNCTION pg_temp.f(text) RETURNS bool LANGUAGE sql AS 'SELECT true'",
    "CREATE TABLE t (a int)",
    "CREATE TEMPORARY TABLE t (a int)",
    "CREATE VIEW public.v AS SELECT 1",
    "CREATE SCHEMA mine",
    "CREATE EXTENSION dblink",
    "CREATE EXTENSION pg_trgm",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION postgres",
    "SET ROLE causeway",
    "COPY (SELECT 1) TO PROGRAM 'cat'",
    "COPY (SELECT 1) TO '/tmp/stolen'",
    "COPY public.scheduler_execution TO STDOUT",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('.')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_from_bytea(0, 'abc')",
    "SELECT lo_create(0)",
    "SELECT pg_advisory_lock(428, 3)",
    "SELECT pg_try_advisory_xact_lock_shared(1)",
    "LOCK TABLE causeway.executions IN ACCESS EXCLUSIVE MODE",
    "LOCK TABLE public.scheduler_execution IN ACCESS SHARE MODE",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "ALTER ROLE CURRENT_USER CONNECTION LIMIT 100",
    "GRANT postgres TO CURRENT_USER",
    "CREATE ROLE another",
    "ALTER VIEW causeway.executions SET (security_invoker = true)",
    "ALTER DATABASE CURRENT_DATABASE SET x = 1",
    "SELECT last_value FROM public.scheduler_execution_id_seq",
    "SELECT nextval('public.scheduler_execution_id_seq')",
    "CREATE PUBLICATION p FOR ALL TABLES",
    "CREATE EVENT TRIGGER t ON ddl_command_start EXECUTE FUNCTION pg_catalog.pg_notify()",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres' AND pid <> pg_backend_pid()",
    "SELECT rolpassword FROM pg_authid",
    "LOAD 'auto_explain'",
    "SECURITY LABEL ON ROLE CURRENT_USER IS 'x'",
    "SET debug_print_plan = on; SELECT * FROM causeway.executions WHERE project = 'other'; RESET debug_print_plan",
    "SET client_min_messages = 'log'; SELECT * FROM causeway.executions",
    "SELECT pg_logical_emit_message(false, 'x', 'fills the disk')",
    "SELECT pg_notify('x', repeat('fills the disk', 500))",
    "SELECT * FROM pg_stat_xact_user_tables",  # what a query of one's own looked through
    "SELECT * FROM pg_stat_user_tables",
    "SELECT * FROM pg_stat_user_indexes",
    "SELECT * FROM pg_statio_user_tables",
    "SELECT * FROM pg_stat_database",
    "SELECT * FROM pg_stat_io",
    "SELECT pg_stat_get_tuples_returned('public.scheduler_execution'::regclass)",
    "SET temp_file_limit = -1",
    "SET ROLE causeway_views",
    "SET row_security = off; SELECT * FROM causeway.executions",
    "ALTER TABLE public.scheduler_execution DISABLE ROW LEVEL SECURITY",
    "DROP POLICY causeway_seen ON public.scheduler_execution",
    "CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq)",
]
SILENT = [
    "SELECT * FROM causeway.executions WHERE name = 'hidden'",
    "SELECT * FROM causeway.executions WHERE 1 / (CASE WHEN name = 'hidden' THEN 0 ELSE 1 END) = 1",
    "SELECT * FROM causeway.executions WHERE name::int = 1 OR name = 'hidden'",
    "SELECT * FROM pg_stats WHERE tablename = 'scheduler_execution'",
    "SELECT query FROM pg_stat_activity",
    "SELECT * FROM pg_sequences WHERE last_value IS NOT NULL",
    "SELECT * FROM causeway.executions WHERE key = 'other/development/hidden'",
    "SELECT pg_get_viewdef('causeway.executions'::regclass)",
    "SELECT * FROM causeway.executions TABLESAMPLE SYSTEM (100)",
]


@pytest.fixture
def prying(projects: None) -> Any:
    make_execution("hidden", project="other")
    make_execution("own")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE scheduler_execution")
    with reader("demo") as (_, where), psycopg.connect(**where, autocommit=True) as session:
        session.execute("SET default_transaction_read_only = off")  # it may; it must not help
        yield session


def test_no_statement_gets_further(prying: psycopg.Connection[Any]) -> None:
    passed = []
    for statement in REFUSED:
        try:
            prying.execute(statement)  # type: ignore[call-overload]
            passed.append(statement)
        except psycopg.Error as error:
            assert "hidden" not in str(error), statement
        assert not prying.closed, statement
    assert passed == []


def test_no_plan_is_printed_to_it(prying: psycopg.Connection[Any]) -> None:
    told: list[str] = []
    prying.add_notice_handler(lambda notice: told.append(notice.message_detail or ""))
    prying.execute("SET debug_print_plan = on; SET client_min_messages = 'log'")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="not for readers"):
        prying.execute("SELECT * FROM causeway.executions WHERE project = 'other'")
    assert "scheduler_execution" not in "".join(told)
    prying.execute("RESET debug_print_plan; RESET client_min_messages")
    assert prying.execute("SELECT name FROM causeway.executions").fetchall() == [("own",)]


def test_no_plan_is_prepared_by_message(prying: psycopg.Connection[Any]) -> None:
    """EXECUTE does not say what the protocol's own message prepared."""
    prying.pgconn.prepare(b"told", b"EXPLAIN (ANALYZE) SELECT * FROM causeway.executions WHERE project = 'other'")
    for statement in ("EXECUTE told", "SELECT name FROM causeway.executions"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="not for readers"):
            prying.execute(statement)  # type: ignore[call-overload]
    prying.execute("DEALLOCATE told")
    assert prying.execute("SELECT name FROM causeway.executions").fetchall() == [("own",)]


def test_no_plan_is_opened_by_message(prying: psycopg.Connection[Any]) -> None:
    """FETCH does not say what a portal of the protocol holds, which libpq has no call for."""

    def message(kind: bytes, body: bytes) -> bytes:
        return kind + (len(body) + 4).to_bytes(4, "big") + body

    prepared = message(b"P", b"p\0EXPLAIN (ANALYZE) SELECT * FROM causeway.executions\0\0\0")
    bound = message(b"B", b"c\0p\0" + bytes(6))
    fetched = message(b"Q", b"DEALLOCATE p; FETCH ALL FROM c\0")
    os.set_blocking(prying.fileno(), True)
    with socket.socket(fileno=os.dup(prying.fileno())) as wire:
        wire.settimeout(10)
        wire.sendall(message(b"Q", b"BEGIN\0") + prepared + bound + message(b"S", b"") + fetched)
        told = b""
        while told.count(b"Z\0\0\0\5") < 3:  # ready for more
            told += wire.recv(65536)
    assert b"not for readers" in told and b"actual time" not in told
    prying.close()


def test_what_it_may_write_to_disk_has_an_end(prying: psycopg.Connection[Any]) -> None:
    assert prying.execute("SHOW temp_file_limit").fetchone() == ("2GB",)


def test_no_error_or_catalogue_tells_of_others(prying: psycopg.Connection[Any]) -> None:
    for statement in SILENT:
        try:
            found = prying.execute(statement).fetchall()  # type: ignore[call-overload]
        except psycopg.Error as error:
            found = [str(error)]
        told = str(found).replace("'hidden'", "")
        assert "other/" not in told and "hidden" not in told, (statement, told)


# A row that is looked at before it is asked whether it may be seen divides by zero.
LOOKS = (
    "SELECT FROM {view} WHERE 1 / (CASE WHEN {column} IS NULL THEN 1 ELSE 0 END) = 1",
    "SELECT FROM {view} x, {view} y"
    " WHERE 1 / (CASE WHEN coalesce(x.{column}, y.{column}) IS NULL THEN 1 ELSE 0 END) = 1",
    "SELECT max(1 / (CASE WHEN {column} IS NULL THEN 1 ELSE 0 END)) FROM {view} GROUP BY {column} HAVING count(*) > 0",
    "SELECT FROM {view} ORDER BY 1 / (CASE WHEN {column} IS NULL THEN 1 ELSE 0 END) LIMIT 1",
)


def test_no_row_of_others_is_looked_at(projects: None, object_store: str) -> None:
    make_world()  # in demo
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    with reader("other") as (_, where), psycopg.connect(**where, autocommit=True) as session:
        for view in VIEWS:
            for column in view.columns:
                for look in LOOKS:
                    query = look.format(view=view.name, column=column.name)
                    assert session.execute(query).fetchall() == [], query  # type: ignore[call-overload]
    with reader("demo") as (_, where), pytest.raises(psycopg.errors.DivisionByZero):
        rows(where, LOOKS[0].format(view="versions", column="id"))


def test_no_role_that_it_can_become_changes_what_it_sees(prying: psycopg.Connection[Any]) -> None:
    prying.execute("SET ROLE causeway_readers")
    assert prying.execute("SELECT name FROM causeway.executions").fetchall() == [("own",)]


def test_limits_hold_whatever_it_sets(projects: None) -> None:
    with reader("demo", seconds=1, connections=2) as (made, where):
        with psycopg.connect(**where) as session, pytest.raises(psycopg.errors.QueryCanceled):
            session.execute("SELECT pg_sleep(5)")
        with (
            psycopg.connect(**where),
            psycopg.connect(**where),
            pytest.raises(psycopg.OperationalError, match="too many"),
        ):
            psycopg.connect(**where)
        Reader.objects.filter(pk=made.pk).update(statement_seconds=1)
        with psycopg.connect(**where) as stubborn:
            stubborn.execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
            stubborn.execute("SELECT 1")
            watch_readers()
            assert stubborn.execute("SELECT 2").fetchone() == (2,)  # not over its time yet
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(6.2)")
            watch_readers()
            with pytest.raises(psycopg.OperationalError):
                stubborn.execute("SELECT 3")


def test_a_changed_place_counts_from_the_next_statement(projects: None) -> None:
    make_execution("own")
    root = User.objects.create(username="r2", is_superuser=True)
    with reader("demo") as (made, where), psycopg.connect(**where, autocommit=True) as session:
        assert session.execute("SELECT count(*) FROM executions").fetchone() == (1,)
        readers.change(made, places=[("other", "")], actor=root)
        assert session.execute("SELECT count(*) FROM executions").fetchone() == (0,)


def test_a_rotated_password_is_wrong_at_once_and_a_removed_reader_gone(projects: None) -> None:
    root = User.objects.create(username="r2", is_superuser=True)
    with reader("demo") as (made, where):
        session = psycopg.connect(**where)
        secret = readers.rotate(made, actor=root)
        time.sleep(0.2)
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
        assert rows({**where, "password": secret}, "SELECT 1") == [(1,)]  # which the test's server does not ask for
        readers.remove(made, actor=root)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(**{**where, "password": secret})
    told = AuditEvent.objects.filter(verb__startswith="reader.").order_by("id").values_list("verb", flat=True)
    assert list(told) == ["reader.create", "reader.rotate", "reader.remove"]
    assert secret not in str(list(AuditEvent.objects.values("detail")))


def test_a_restored_database_gets_its_roles_back(projects: None) -> None:
    root = User.objects.create(username="r2", is_superuser=True)
    with reader("demo") as (made, where):
        with connection.cursor() as cursor:
            cursor.execute(f"REVOKE ALL ON DATABASE {connection.settings_dict['NAME']} FROM {made.role}")
            cursor.execute(f"DROP ROLE {made.role}")
        assert rows({**where, "password": readers.rotate(made, actor=root)}, "SELECT 1") == [(1,)]


def test_one_whose_place_is_gone_can_still_be_changed_and_removed(projects: None, settings: Settings) -> None:
    root = User.objects.create(username="r3", is_superuser=True)
    with reader("demo/staging") as (made, where):
        settings.CAUSEWAY_DOMAINS = ["development"]
        readers.rotate(made, actor=root)
        with pytest.raises(InvalidArgument, match="no domain staging"):
            readers.change(made, places=[("demo", "staging")], actor=root)
        readers.change(made, places=[("demo", "development")], actor=root)
        readers.remove(made, actor=root)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(**where)


def test_it_is_made_by_who_administers_all_that_it_sees(projects: None) -> None:
    ada = User.objects.create(username="ada")
    RoleBinding.objects.create(user=ada, role=Role.ADMIN, project="demo")
    for places in (["other"], ["demo", "other"], ["*"]):
        with pytest.raises(PermissionDenied):
            readers.make(f"{MINE}_x", [readers.place_of(place) for place in places], actor=ada)
    with reader("demo") as (made, _), reader("demo", "other", name="both") as (both, _):
        assert list(readers.visible(ada)) == [made]
        with pytest.raises(PermissionDenied):
            readers.remove(both, actor=ada)
        with pytest.raises(PermissionDenied):
            readers.change(made, places=[("other", "")], actor=ada)
    assert not Reader.objects.exists()


@pytest.mark.parametrize(
    ("name", "places", "limits"),
    [
        ("Ann", ["demo"], {}),
        ("a-b", ["demo"], {}),
        ('a"; DROP TABLE x', ["demo"], {}),
        ("a" * 41, ["demo"], {}),
        ("ok", [], {}),
        ("ok", ["nothing"], {}),
        ("ok", ["demo/nowhere"], {}),
        ("ok", ["/development"], {}),
        ("ok", ["demo"], {"seconds": 0}),
        ("ok", ["demo"], {"connections": 51}),
    ],
)
def test_bad_input_makes_nothing(projects: None, name: str, places: list[str], limits: dict[str, int]) -> None:
    root = User.objects.create(username="root", is_superuser=True)
    with pytest.raises(InvalidArgument):
        readers.make(name, [readers.place_of(one) for one in places], limits=readers.Limits(**limits), actor=root)
    assert not Reader.objects.exists()


def test_none_is_made_where_the_database_is_open(projects: None) -> None:
    root = User.objects.create(username="root", is_superuser=True)
    with reader("demo") as (made, _):
        with pytest.raises(AlreadyExists):
            readers.make(made.name, [("demo", "")], actor=root)
        with connection.cursor() as cursor:
            cursor.execute("GRANT USAGE ON LANGUAGE plpgsql TO PUBLIC")
        with pytest.raises(FailedPrecondition, match="write functions.*harden_database"):
            readers.make(f"{MINE}_y", [("demo", "")], actor=root)
        assert Reader.objects.count() == 1


def test_the_doors_do_the_same(projects: None, client: Client) -> None:
    """REST and the admin panel: made, changed, rotated and removed, by whoever may."""
    call_command("harden_database", run=True)
    root = User.objects.create(username="root", is_superuser=True, is_staff=True)
    sue = User.objects.create(username="sue")
    RoleBinding.objects.create(user=sue, role=Role.APPROVER, project="demo")
    header = {"HTTP_AUTHORIZATION": f"Bearer {tokens.create(root, 't')[1]}"}
    name = f"{MINE}_rest"
    body = {"name": name, "places": ["demo"]}
    refused = client.post(
        "/api/v1/readers", body, "application/json", HTTP_AUTHORIZATION=f"Bearer {tokens.create(sue, 't')[1]}"
    )
    assert refused.status_code == 403 and not Reader.objects.exists()
    made = client.post("/api/v1/readers", body, "application/json", **header).json()  # type: ignore[arg-type]
    try:
        where = conninfo(made["role"], made["password"])
        assert rows(where, "SELECT count(*) FROM executions") == [(0,)]
        one = f"/api/v1/readers/{name}"
        change = {"places": ["demo/staging", "other"], "connections": 1}
        changed = client.patch(one, change, "application/json", **header).json()  # type: ignore[arg-type]
        assert (changed["places"], changed["connections"]) == (["demo/staging", "other"], 1)
        assert client.post(f"{one}/rotate", **header).json()["password"] != made["password"]  # type: ignore[arg-type]
        bad = client.patch(one, {"places": ["no"]}, "application/json", **header)  # type: ignore[arg-type]
        assert bad.status_code == 400 and "there is no project no" in bad.json()["detail"]
        listed = client.get("/api/v1/readers", **header).json()["results"]  # type: ignore[arg-type]
        assert [row["name"] for row in listed] == [name] and "password" not in listed[0]
    finally:
        assert client.delete(one, **header).status_code == 204  # type: ignore[arg-type]
    client.force_login(root)
    name = f"{MINE}_panel"
    form = {"name": name, "description": "", "places": "demo\nother/staging", "statement_seconds": 5, "connections": 2}
    page = client.post("/admin/accounts/reader/add/", form, follow=True).content.decode()
    reader = Reader.objects.get(name=name)
    try:
        assert "password, shown this once" in page
        assert readers.names(list(reader.scopes.order_by("project"))) == ["demo", "other/staging"]
        bad_form = {**form, "name": f"{MINE}_bad", "places": "nowhere"}
        assert "there is no project nowhere" in client.post("/admin/accounts/reader/add/", bad_form).content.decode()
    finally:
        client.post(f"/admin/accounts/reader/{reader.pk}/delete/", {"post": "yes"})
    assert not Reader.objects.exists()
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE %s", [f"causeway_reader_{MINE}%"])
        assert cursor.fetchall() == []
