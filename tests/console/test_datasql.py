"""SQL over the data of artifacts: what it answers, whose data it reads, and that nothing else is in reach."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from artifacts import store as stores
from artifacts.exceptions import CausewayError, InvalidArgument, NotFound, ResourceExhausted, SearchTooLong
from artifacts.models import Artifact, ArtifactVersion, Kind
from artifacts.partition_values import digest_of
from artifacts.store import ObjectStore, store
from console.accounts import tokens
from console.accounts.models import Role, RoleBinding, User
from console.datasql import run as running
from console.datasql.parse import parse
from console.datasql.run import Query, run
from lineage.models import VersionRead
from scheduler.models import Project

pytestmark = pytest.mark.django_db

SALES = pa.table({"city": ["a", "b", "c"], "amount": [1, 2, 3]})


@pytest.fixture(autouse=True)
def of_this_test(object_store: str) -> None:
    for name in ("demo", "other"):
        Project.objects.get_or_create(identifier=name, defaults={"name": name})


@pytest.fixture
def ann() -> User:
    user = User.objects.create(username="ann")
    RoleBinding.objects.create(user=user, role=Role.VIEWER, project="demo")
    return user


def written(table: pa.Table, kind: str) -> bytes:
    out = io.BytesIO()
    if kind == "parquet":
        pa.parquet.write_table(table, out)
    elif kind == "arrow":
        pa.feather.write_feather(table, out)
    else:
        pa.csv.write_csv(table, out)
    return out.getvalue()


def publish(
    name: str = "sales",
    files: Mapping[str, bytes] | None = None,
    *,
    version: str = "v1",
    project: str = "demo",
    partitions: Mapping[str, str] | None = None,
) -> ArtifactVersion:
    """A version whose data are these files; one without a name is the data itself."""
    partitions = dict(partitions or {})
    artifact, _ = Artifact.objects.get_or_create(
        project=project, domain="development", name=name, defaults={"partition_keys": sorted(partitions)}
    )
    uri = f"{store().root}/{project}/development/{name}-{version}"
    for path, data in (files or {"": written(SALES, "parquet")}).items():
        store().put(store().join(uri, path) if path else uri, data)
    return ArtifactVersion.objects.create(
        artifact=artifact,
        version=version,
        kind=Kind.DATASET,
        literal=b"",
        literal_type=b"",
        uri=uri,
        partitions=partitions,
        partition_digest=digest_of(partitions),
        created_at=timezone.now(),
    )


def ask(user: User, sql: str, **over: Any) -> Any:
    found = run(Query(sql, "demo", "development", **over), user=user)
    with found.body as body:
        data = body.read()
    return json.loads(data) if over.get("format", "json") == "json" else data


@pytest.mark.parametrize("kind", ["parquet", "csv", "arrow"])
def test_it_reads_files_and_folders_of_each_kind(ann: User, kind: str) -> None:
    publish("one", {"": written(SALES, kind)})
    publish("many", {"00000": written(SALES, kind), "part/00001": written(SALES, kind), "_SUCCESS": b"", ".x": b"\0"})
    assert ask(ann, "SELECT city, amount FROM artifact('one') ORDER BY 1 DESC LIMIT 2") == [["c", 3], ["b", 2]]
    assert ask(ann, "SELECT count(*), sum(amount) FROM artifact('many') AS m WHERE amount > 1") == [[4, 10]]


def test_it_finds_the_version_that_was_meant(ann: User) -> None:
    for number, region in enumerate(("SEA", "SEA", "EU")):
        data = written(pa.table({"n": [number]}), "parquet")
        publish("sales", {"": data}, version=f"v{number}", partitions={"region": region})
    assert ask(ann, "SELECT n FROM artifact('sales')") == [[2]]
    assert ask(ann, "SELECT n FROM artifact('sales', region := 'SEA')") == [[1]]
    assert ask(ann, "SELECT n FROM Artifact ( 'sales', version => 'v0' ) -- artifact('nothing')\n") == [[0]]
    both = "SELECT a.n, b.n FROM artifact('sales', region := 'EU') a, artifact('sales', region := 'SEA') b"
    assert ask(ann, both) == [[2, 1]]
    assert ask(ann, "SELECT 'artifact(''no'')' AS said, n FROM artifact('sales')") == [["artifact('no')", 2]]
    counted = "SELECT region, _version, sum(n) FROM artifacts('sales', region := 'SEA') GROUP BY ALL ORDER BY 2"
    assert ask(ann, counted) == [["SEA", "v0", 0], ["SEA", "v1", 1]]
    assert ask(ann, "SELECT count(*) FROM artifacts('sales', newest := 2)") == [[2]]


def test_columns_that_only_some_versions_have_are_empty_in_the_others(ann: User) -> None:
    publish("sales", {"": written(pa.table({"a": [1]}), "parquet")}, version="v1")
    publish("sales", {"": written(pa.table({"a": [2], "b": ["x"]}), "csv")}, version="v2")
    assert ask(ann, "SELECT a, b FROM artifacts('sales') ORDER BY a") == [[1, None], [2, "x"]]


def test_formats_say_the_same(ann: User) -> None:
    publish()
    query = "SELECT city, amount, DATE '2026-05-17' AS day, [1, 2] AS list FROM artifact('sales') ORDER BY 1 LIMIT 1"
    assert ask(ann, query) == [["a", 1, "2026-05-17", [1, 2]]]
    assert ask(ann, query, format="csv") == b'city,amount,day,list\r\na,1,2026-05-17,"[1, 2]"\r\n'
    table = pa.ipc.open_stream(ask(ann, query, format="arrow")).read_all()
    assert table.column("amount").to_pylist() == [1] and table.column_names == ["city", "amount", "day", "list"]
    found = run(Query(query, "demo", "development"), user=ann)
    assert [column["name"] for column in found.columns] == ["city", "amount", "day", "list"]
    assert [row["version"] for row in found.versions] == ["v1"]


@pytest.mark.parametrize("kind", ["json", "csv", "arrow"])
def test_rows_over_the_limit_are_left_out_and_said(ann: User, kind: str) -> None:
    for rows, over, expected in ((5, False, 5), (4, True, 4)):
        found = run(Query("SELECT * FROM range(5)", "demo", "development", format=kind, rows=rows), user=ann)
        assert (found.rows, found.truncated) == (expected, over)


def test_a_read_is_a_use_of_the_version(ann: User) -> None:
    version = publish()
    ask(ann, "SELECT 1 FROM artifact('sales')")
    ask(ann, "SELECT 1 FROM artifact('sales') UNION SELECT 2 FROM artifact('sales', version := 'v1')")
    read = VersionRead.objects.get(version=version)
    assert (read.by, read.times) == ("ann", 2)
    with pytest.raises(InvalidArgument):
        ask(ann, "SELECT nothing FROM artifact('sales')")
    read.refresh_from_db()
    assert read.times == 2


def test_it_reads_what_its_reader_may(ann: User) -> None:
    publish("secret", project="other")
    for call in ("artifact('secret', project := 'other')", "artifacts('x', project := 'other')"):
        sql = f"SELECT * FROM {call}"  # noqa: S608
        with pytest.raises(NotFound, match="no artifact other/development"):
            ask(ann, sql)
    RoleBinding.objects.create(user=ann, role=Role.VIEWER, project="other")
    sue = User.objects.get(pk=ann.pk)
    assert ask(sue, "SELECT count(*) FROM artifact('secret', project := 'other')") == [[3]]


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT * FROM artifact()", "begins with the artifact's name"),
        ("SELECT * FROM artifact(sales)", "begins with the artifact's name"),
        ("SELECT * FROM artifact('sales'", "not closed"),
        ("SELECT * FROM artifact('sales', 'SEA')", "takes key := 'value'"),
        ("SELECT * FROM artifact('sales', a := 'x', a := 'y')", "says something twice"),
        ("SELECT * FROM artifact('sales', area := 'x')", "has no partition area"),
        ("SELECT * FROM artifacts('sales', newest := 0)", "newest is a number"),
        ("SELECT * FROM artifacts('sales', version := 'v1')", "takes no version"),
        ("SELECT * FROM artifact('sales', newest := 2)", "artifact\\(...\\) is one version"),
        ("SELEC 1", "syntax error"),
        ("SELECT 1; SELECT 2", "one SELECT"),
        ("", "one SELECT"),
        ("SELECT missing FROM artifact('sales')", "missing"),
        ("SELECT 1,\n  missing", 'Referenced column "missing" [^\n]+ LINE 2: +missing$'),
        ("CREATE TABLE t AS SELECT 1", "one SELECT"),
    ],
)
def test_bad_queries_are_told_what_is_wrong(ann: User, sql: str, told: str) -> None:
    publish()
    with pytest.raises(InvalidArgument, match=told) as error:
        ask(ann, sql)
    assert store().root not in error.value.message and "/proc/" not in error.value.message


def test_what_json_has_no_word_for_is_text(ann: User) -> None:
    publish()
    sql = (
        "SELECT 'NaN'::FLOAT, [1 / 0], {'a': -1 / 0}, MAP {DATE '2026-01-31': 1}, amount FROM artifact('sales') LIMIT 1"
    )
    with run(Query(sql, "demo", "development"), user=ann).body as body:
        rows = json.loads(body.read(), parse_constant=pytest.fail)
    assert rows == [["NaN", ["Infinity"], {"a": "-Infinity"}, {"2026-01-31": 1}, 1]]
    assert b'"{""2026-01-31"": 1}"' in ask(ann, "SELECT MAP {DATE '2026-01-31': 1} AS m", format="csv")


def test_what_is_no_table_says_so(ann: User) -> None:
    publish("binary", {"": b"\x00\x01\x02"})
    publish("mixed", {"a": written(SALES, "parquet"), "b": written(SALES, "csv")})
    publish("empty", {"_SUCCESS": b""})
    value = publish("value")
    ArtifactVersion.objects.filter(pk=value.pk).update(uri="")
    gone = publish("gone")
    ArtifactVersion.objects.filter(pk=gone.pk).update(removed_at=timezone.now())
    for name, told in (
        ("binary", "only parquet, CSV and Arrow"),
        ("mixed", "different kinds"),
        ("empty", "has no files"),
        ("value", "a plain value"),
        ("gone", "gone has no version"),
        ("nothing", "there is no artifact"),
    ):
        with pytest.raises(CausewayError, match=told):
            ask(ann, f"SELECT * FROM artifact('{name}')")  # noqa: S608


# Each is one way to something that was not given to the query.
PRYING = [
    "SELECT * FROM read_text('{file}')",
    "SELECT * FROM read_csv('{file}')",
    "SELECT * FROM \"read_text\"('{file}')",
    "SELECT * FROM main.read_blob('{file}')",
    "SELECT * FROM '{file}'",
    'SELECT * FROM "{file}"',
    "SELECT * FROM artifact('sales'), '{file}'",
    "SELECT E'\\'' , * FROM read_text('{file}') WHERE '' = ''",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM query('SELECT * FROM read_text(''{file}'')')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT * FROM read_text(''{file}'')'))",
    "SELECT * FROM read_text('/proc/self/environ')",
    "SELECT * FROM read_parquet('http://127.0.0.1:1/x')",
    "SELECT * FROM read_parquet('s3://bucket/x')",
    "COPY (SELECT 1) TO '{folder}/out.csv'",
    "COPY (SELECT 1) TO '/dev/stderr'",
    "ATTACH '{folder}/x.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "RESET lock_configuration",
    "PRAGMA database_list",
    "EXPORT DATABASE '{folder}/dump'",
    "IMPORT DATABASE '{folder}/dump'",
    "CREATE MACRO f() AS TABLE SELECT * FROM read_text('{file}')",
    "CALL pragma_version()",
    "SELECT getenv('PATH')",
    "SELECT * FROM sniff_csv('{file}')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM sqlite_scan('{file}', 'x')",
    "SELECT * FROM postgres_scan('', '', '')",
    "FROM read_text('{file}')",
    "SELECT * FROM parquet_metadata('{file}')",
    "WITH t AS (INSERT INTO x VALUES (1)) SELECT 1",
    "EXPLAIN ANALYZE SELECT 1",
    "SELECT * FROM job",
    "SELECT * FROM statements",
]


@pytest.mark.parametrize("sql", PRYING)
def test_nothing_else_is_in_reach(ann: User, tmp_path: Path, sql: str) -> None:
    publish()
    file = tmp_path / "secret.csv"
    file.write_text("top,secret\n1,2\n")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InvalidArgument) as error:
        ask(ann, sql.format(file=file, folder=tmp_path / "folder"))
    assert "top" not in error.value.message
    assert list((tmp_path / "folder").iterdir()) == []


def test_a_file_of_another_is_out_of_reach_by_its_path_too(ann: User) -> None:
    publish()
    foreign = publish("secret", project="other")
    with pytest.raises(InvalidArgument):
        ask(ann, f"SELECT * FROM artifact('sales'), \"{foreign.uri}\"")  # noqa: S608


def test_the_process_itself_opens_nothing_else(ann: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what parse() refuses already: DuckDB is shut on its own."""
    publish()
    file = tmp_path / "secret.csv"
    file.write_text("top,secret\n1,2\n")
    import console.datasql.parse as parsing

    monkeypatch.setattr(parsing, "_check", lambda *_, **__: None)
    for sql in (template.format(file=file, folder=tmp_path) for template in PRYING if "duckdb_" not in template):
        with pytest.raises(InvalidArgument) as error:
            ask(ann, sql)
        assert "top" not in error.value.message, sql
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "objects") == ["secret.csv"]


def test_it_is_stopped_after_its_time_and_others_go_on(ann: User) -> None:
    began = time.monotonic()
    with pytest.raises(SearchTooLong, match="after 1 second"):
        ask(ann, "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3", seconds=1)
    assert time.monotonic() - began < 10
    assert ask(ann, "SELECT 1") == [[1]]


def test_memory_and_size_are_limited(ann: User, settings: Settings) -> None:
    publish()
    settings.CAUSEWAY_SQL_MEMORY = 50 * 1024**2
    with pytest.raises(ResourceExhausted, match="memory"):
        ask(ann, "SELECT count(*) FROM (SELECT DISTINCT hash(range) FROM range(20000000))")
    settings.CAUSEWAY_SQL_MAX_BYTES = 10
    with pytest.raises(ResourceExhausted, match="may read 10"):
        ask(ann, "SELECT * FROM artifact('sales')")


def test_answers_are_limited(ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "RESULT_BYTES", 100_000)
    with pytest.raises(ResourceExhausted, match="more than 100000 bytes"):
        ask(ann, "SELECT repeat('x', 1000) FROM range(1000)")


def test_only_some_run_at_once(ann: User) -> None:
    assert running._running.acquire(blocking=False) and running._running.acquire(blocking=False)
    try:
        with pytest.raises(ResourceExhausted, match="running already"):
            ask(ann, "SELECT 1")
    finally:
        running._running.release(2)
    assert ask(ann, "SELECT 1") == [[1]]


@pytest.mark.parametrize("over", [{"format": "xml"}, {"rows": 0}, {"rows": 10**7}, {"seconds": 0}, {"seconds": 10**6}])
def test_limits_have_limits(over: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        Query("SELECT 1", "demo", "development", **over)


def test_it_reads_an_s3_store(ann: User, s3_store: ObjectStore, settings: Settings) -> None:
    settings.CAUSEWAY_STORE_URL = s3_store.root
    stores._open_once.cache_clear()
    publish("folder", {"a": written(SALES, "parquet"), "b": written(SALES, "parquet")})
    assert ask(ann, "SELECT sum(amount) FROM artifact('folder')") == [[12]]


def files_open() -> int:
    """Not folders, of which the store keeps a few at hand."""
    return sum(one.is_file() for one in Path("/proc/self/fd").iterdir())


def test_it_leaves_no_file_open(ann: User) -> None:
    publish("many", {f"{n}": written(SALES, "parquet") for n in range(20)})
    before = files_open()
    ask(ann, "SELECT count(*) FROM artifact('many')")
    with pytest.raises(InvalidArgument):
        ask(ann, "SELECT x FROM artifact('many')")
    assert files_open() <= before


@pytest.mark.parametrize("many", ["--\n", "/**/", " /* a */ ", "/*a", "$t$ $u$ ", "e'\\'", "(", "artifact( "])
def test_a_query_takes_no_longer_than_its_length(many: str) -> None:
    """Of 20 times the letters: with the square of them it would be 400 times the time, minutes."""
    query = f"select 1 {many * (90_000 // len(many))}"
    began = time.process_time()
    with contextlib.suppress(InvalidArgument):
        parse(query)
    assert time.process_time() - began < 5


@pytest.mark.parametrize("opened", ["/* a", "$$ a", "$tag$ a $other$"])
def test_what_is_opened_is_closed(opened: str) -> None:
    with pytest.raises(InvalidArgument, match="at letter 10, and never closed"):
        parse(f"select 1 {opened}")


def test_names_of_tables_are_the_same_for_the_same_reference() -> None:
    found = parse("SELECT 1 FROM artifact('a') JOIN artifact( 'a' ) USING (x) JOIN artifact('a', k := '1') USING (x)")
    assert found.sql == ("SELECT 1 FROM __artifact_1 JOIN __artifact_1 USING (x) JOIN __artifact_2 USING (x)")


def test_rest_answers_in_each_format_and_refuses_in_problems(ann: User, client: Client) -> None:
    publish()
    header = {"HTTP_AUTHORIZATION": f"Bearer {tokens.create(ann, 't', scopes=['read'])[1]}"}
    body = {"sql": "SELECT sum(amount) AS s FROM artifact('sales')", "project": "demo", "domain": "development"}

    def post(**over: Any) -> Any:
        return client.post("/api/v1/sql", {**body, **over}, "application/json", **header)  # type: ignore[arg-type]

    answer = post()
    assert json.loads(b"".join(answer.streaming_content)) == [[6]]
    told = json.loads(answer["Causeway-Result"])
    assert (told["rows"], told["truncated"], told["versions"][0]["version"]) == (1, False, "v1")
    assert b"".join(post(format="csv").streaming_content) == b"s\r\n6\r\n"
    assert post(format="arrow")["Content-Type"] == "application/vnd.apache.arrow.stream"
    assert post(sql="SELEC").status_code == 400
    assert post(sql="SELECT * FROM artifact('no')").status_code == 404
    assert post(format="xml").status_code == 400
    assert post(project="other").status_code == 404
    assert client.post("/api/v1/sql", body, "application/json").status_code == 401
    for other in (tokens.create(ann, "m", scopes=["metrics"]), tokens.create(User.objects.create(username="new"), "t")):
        one = {"HTTP_AUTHORIZATION": f"Bearer {other[1]}"}
        assert client.post("/api/v1/sql", {**body, "sql": "SELECT 1"}, "application/json", **one).status_code == 403  # type: ignore[arg-type]
    lineage = client.get("/api/v1/artifacts/demo/development/sales/versions/v1/lineage", **header).json()  # type: ignore[arg-type]
    assert [(read["by"], read["times"]) for read in lineage["reads"]] == [("ann", 3)]


@pytest.mark.parametrize(
    ("sql", "drawn"),
    [
        ("SELECT city, amount::DECIMAL(9, 2) AS paid FROM artifact('sales')", "paid by city"),
        ("SELECT city, 'x' AS x, 1 / (amount - 1) AS part FROM artifact('sales')", "part by city"),
        ("SELECT city, city AS other FROM artifact('sales')", ""),
        ("SELECT amount FROM artifact('sales')", ""),
        ("SELECT city, amount FROM artifact('sales') LIMIT 1", ""),
    ],
)
def test_the_page_draws_what_has_names_and_numbers(ann: User, client: Client, sql: str, drawn: str) -> None:
    publish()
    client.force_login(ann)
    answered = client.post("/sql/", {"sql": sql, "project": "demo", "domain": "development"})
    page = answered.content.decode()
    assert answered.status_code == 200 and ("<figure" in page) == bool(drawn) and drawn in page


def test_the_page_shows_a_table_and_what_is_wrong(ann: User, client: Client) -> None:
    version = publish("sales", {"": written(pa.table({"city": ["<b>x</b>"]}), "parquet")})
    client.force_login(ann)
    form = {"sql": "SELECT city FROM artifact('sales')", "project": "demo", "domain": "development"}
    page = client.post("/sql/", form).content.decode()
    assert "&lt;b&gt;x&lt;/b&gt;" in page and f"/artifacts/versions/{version.pk}/" in page
    wrong = client.post("/sql/", {**form, "sql": "SELECT nope FROM artifact('sales')"})
    assert wrong.status_code == 400 and "nope" in wrong.content.decode()
    assert "SELECT 41" in client.get("/sql/?sql=SELECT+41").content.decode()
    assert "Queried by" in client.get(f"/artifacts/versions/{version.pk}/").content.decode()
    assert client.put("/sql/").status_code == 405


def test_web_and_workers_start_without_duckdb() -> None:
    program = "import sys, console.wsgi, console.urls, console.celery; print(*sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "console.settings"},
    )
    loaded = set(said.stdout.split())
    assert "console.rest.sql" in loaded and not loaded & {"duckdb", "pyarrow", "prometheus_client"}
