"""The SQL views as a reader of one project asks them, at a million versions: pages that are filtered, and the newest.

Half of the versions lie in another project. Wall time of the best of the tries, and of the median.
"""

from __future__ import annotations

import time

import psycopg
from setup import DOMAIN, PROJECT, Bench, arguments, bench, show

OTHER = "flyteexamples"
FILL = (
    """
INSERT INTO artifacts_artifact (project, domain, name, kind, description, partition_keys, granularity, created_at)
SELECT CASE WHEN n % 2 = 0 THEN '{project}' ELSE '{other}' END, '{domain}', 'dataset-' || n, 'dataset', '',
    '{{region}}', 0, now()
FROM generate_series(0, 199) AS n
""",
    """
INSERT INTO artifacts_artifactversion (artifact_id, version, kind, literal, literal_type, uri, content_hash, partitions,
    partition_digest, execution_key, node_id, output, producer, created_by, card_format, card, card_uri, metadata,
    metrics, created_at, triggers_evaluated_at, is_shadow)
SELECT artifact.id, 'v' || n, 'dataset', '', '', 's3://lake/' || n, '', jsonb_build_object('region', n % 7),
    md5((n % 7)::text), '', '', '', 'openlineage:job', 'ann', '', '', '', '{{}}', jsonb_build_object('rows', n),
    now() - make_interval(secs => {rows} - n), now(), false
FROM generate_series(1, {rows}) AS n JOIN artifacts_artifact AS artifact ON artifact.name = 'dataset-' || (n % 200)
""",
    "INSERT INTO artifacts_metric (version_id, name, value) SELECT id, 'rows', id FROM artifacts_artifactversion",
    "VACUUM ANALYZE",
)
PAGES = {
    "newest 50 of all": "SELECT * FROM versions ORDER BY created_at DESC LIMIT 50",
    "newest 50 of a project": "SELECT * FROM versions WHERE project = 'flytesnacks' ORDER BY created_at DESC LIMIT 50",
    "newest 50 of an artifact": "SELECT * FROM versions WHERE artifact = 'dataset-4' ORDER BY created_at DESC LIMIT 50",
    "one by its name": "SELECT * FROM versions WHERE artifact = 'dataset-4' AND version = 'v204'",
    "an hour of a project": "SELECT * FROM versions WHERE project = 'flytesnacks'"
    " AND created_at > now() - interval '1 hour'",
    "one of a partition": "SELECT * FROM versions WHERE artifact = 'dataset-4' AND partitions = '{\"region\": 4}'"
    " ORDER BY created_at DESC LIMIT 50",
    "newest 50 with their metrics": "SELECT * FROM versions v JOIN metrics m ON m.version_id = v.id"
    " ORDER BY v.created_at DESC LIMIT 50",
    "newest 50 of another's project": "SELECT * FROM versions WHERE project = 'flyteexamples'"
    " ORDER BY created_at DESC LIMIT 50",
    "count of all": "SELECT count(*) FROM versions",
    "count by artifact": "SELECT artifact, count(*), max(created_at) FROM versions GROUP BY 1",
}


def fill(running: Bench, rows: int) -> None:
    url = f"postgresql://postgres@/causeway?host={running.stack.home / 'postgres'}"
    with psycopg.connect(url, autocommit=True) as session:
        for statement in FILL:
            session.execute(statement.format(project=PROJECT, other=OTHER, domain=DOMAIN, rows=rows))


def main() -> None:
    asked = arguments(__doc__, rows=1_000_000, tries=7)
    with bench() as running:
        began = time.monotonic()
        fill(running, asked.rows)
        print(f"{asked.rows} versions in {time.monotonic() - began:.0f} s")
        for places in ([PROJECT], ["*"]):
            name = "all" if places == ["*"] else "one"
            made = running.client.connection.call("POST", "readers", json={"name": name, "places": places})
            where = {"user": made["role"], "password": made["password"], "dbname": "causeway"}
            print(f"a reader of {places[0]}")
            with psycopg.connect(**where, host=str(running.stack.home / "postgres"), autocommit=True) as session:
                for page, query in PAGES.items():
                    took = []
                    for _ in range(asked.tries):
                        began = time.monotonic()
                        found = len(session.execute(query).fetchall())
                        took.append((time.monotonic() - began) * 1000)
                        if took[-1] > 2000:
                            break
                    show(f"  {page}: {found} rows, best {min(took):.1f} ms", took)


if __name__ == "__main__":
    main()
