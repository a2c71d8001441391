"""What other systems told of long ago is forgotten, but for runs that versions came of: they tell of their origin."""

from __future__ import annotations

import time
from datetime import datetime

from django.db import connection

BATCH = 2000  # runs in one statement

# A run that is the last one heard of it, with its uses; those that made a version, or read one of ours, stay with it.
_RUNS = """
WITH old AS (
    SELECT id FROM lineage_outsiderun AS run
    WHERE run.project = %(project)s AND run.domain = %(domain)s AND run.seen_at < %(before)s
        AND NOT EXISTS (
            SELECT FROM lineage_outsideuse AS used WHERE used.run_id = run.id AND used.version_id IS NOT NULL
        )
    LIMIT %(batch)s FOR UPDATE SKIP LOCKED
), uses AS (
    DELETE FROM lineage_outsideuse AS used USING old WHERE used.run_id = old.id
)
DELETE FROM lineage_outsiderun AS run USING old WHERE run.id = old.id
"""
# A job without runs, with what it was said to do anyhow; then datasets that nobody reads or writes any more.
_JOBS = """
WITH old AS (
    SELECT id FROM lineage_outsidejob AS job
    WHERE job.project = %(project)s AND job.domain = %(domain)s AND job.seen_at < %(before)s
        AND NOT EXISTS (SELECT FROM lineage_outsiderun AS run WHERE run.job_id = job.id)
        AND NOT EXISTS (SELECT FROM lineage_outsideuse AS used WHERE used.job_id = job.id AND used.run_id IS NOT NULL)
    LIMIT %(batch)s FOR UPDATE SKIP LOCKED
), uses AS (
    DELETE FROM lineage_outsideuse AS used USING old WHERE used.job_id = old.id
)
DELETE FROM lineage_outsidejob AS job USING old WHERE job.id = old.id
"""
_DATASETS = """
WITH old AS (
    SELECT id FROM lineage_outsidedataset AS dataset
    WHERE dataset.project = %(project)s AND dataset.domain = %(domain)s AND dataset.seen_at < %(before)s
        AND NOT EXISTS (SELECT FROM lineage_outsideuse AS used WHERE used.dataset_id = dataset.id)
    LIMIT %(batch)s FOR UPDATE SKIP LOCKED
)
DELETE FROM lineage_outsidedataset AS dataset USING old WHERE dataset.id = old.id
"""
_PLACES = "SELECT project, domain FROM lineage_outsidejob UNION SELECT project, domain FROM lineage_outsidedataset"


def forget_outside(*, before: datetime, seconds: float) -> int:
    """Remove what nothing was heard of since then, in small statements, for about so long; the number of runs.

    What one call does not come to the next one does. Events that tell of a forgotten run again begin it anew.
    """
    until, forgotten = time.monotonic() + seconds, 0
    with connection.cursor() as cursor:
        cursor.execute(_PLACES)
        for project, domain in cursor.fetchall():
            told = {"project": project, "domain": domain, "before": before, "batch": BATCH}
            for statement in (_RUNS, _JOBS, _DATASETS):
                removed = BATCH
                while removed == BATCH and time.monotonic() < until:
                    cursor.execute(statement, told)
                    removed = cursor.rowcount
                    forgotten += removed if statement is _RUNS else 0
    return forgotten
