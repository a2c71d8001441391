"""How long the answer to "why" takes, of the version with the longest ancestry in a filled database.

    script/fill --versions 1000000     # into an installation that runs
    .venv/bin/python benchmarks/why.py

Prints milliseconds of server time (rows read and put in order, without the page), of 20 looks each, and the process's
own share of them. The last is of a version to which much led: the newest 400 that executions published, as if each was
made of the four before it and four checks had said something of it; nothing of that stays.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
LOOKS = 20
_DEEPEST = "SELECT target_id FROM lineage_derivation GROUP BY target_id ORDER BY count(*) DESC, target_id DESC LIMIT 5"
# Made in a transaction that is rolled back.
_MUCH = """
    CREATE TEMPORARY TABLE much ON COMMIT DROP AS
    SELECT id, row_number() OVER (ORDER BY id) AS place FROM (
        SELECT id FROM artifacts_artifactversion WHERE execution_key LIKE '%/%/%' ORDER BY id DESC LIMIT 400
    ) AS version;
    INSERT INTO lineage_derivation (source_id, target_id)
    SELECT a.id, b.id FROM much AS a JOIN much AS b ON b.place BETWEEN a.place + 1 AND a.place + 4
    ON CONFLICT DO NOTHING;
    INSERT INTO artifacts_happening (kind, at, project, domain, subject, artifact_id, version_id, execution_key, name,
        actor, detail, handled_at, undone, tries)
    SELECT 'check.passed', now(), artifact.project, artifact.domain, artifact.name, artifact.id, version.id, '',
           'check-' || number, 'system:checks', '{"message": "auc is 0.9", "severity": "block"}', now(), '{}', 1
    FROM much JOIN artifacts_artifactversion AS version USING (id)
    JOIN artifacts_artifact AS artifact ON artifact.id = version.artifact_id
    CROSS JOIN generate_series(1, 4) AS number;
    SELECT max(id) FROM much;
"""


def main() -> None:
    import django

    django.setup()
    from django.db import connection, transaction

    from artifacts.models import ArtifactVersion, Happening
    from scheduler.reasons import why_version

    def look(pk: int) -> None:
        version = ArtifactVersion.objects.select_related("artifact").get(pk=pk)
        times, own = [], []
        for _ in range(LOOKS):
            began, used = time.perf_counter(), time.process_time()
            why = why_version(version, may_read=lambda project, domain: True)
            times.append((time.perf_counter() - began) * 1000)
            own.append((time.process_time() - used) * 1000)
        print(
            f"{version}: {len(why.steps)} decisions, p50 {statistics.median(times):.1f} ms, worst {max(times):.1f} ms; "
            f"of the process p50 {statistics.median(own):.1f} ms, least {min(own):.1f} ms"
        )

    print(f"{ArtifactVersion.objects.count()} versions, {Happening.objects.count()} happenings")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_DEEPEST)
        for (pk,) in cursor.fetchall():
            look(pk)
        cursor.execute(_MUCH)
        while cursor.nextset():
            pass
        [(much,)] = cursor.fetchall()
        look(much)
        transaction.set_rollback(True)


if __name__ == "__main__":
    main()
