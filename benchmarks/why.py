"""How long the answer to "why" takes, of the version with the longest ancestry in a filled database.

    script/fill --versions 1000000     # into an installation that runs
    .venv/bin/python benchmarks/why.py

Prints milliseconds of server time (rows read and put in order, without the page), of 20 looks each.
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


def main() -> None:
    import django

    django.setup()
    from django.db import connection

    from artifacts.models import ArtifactVersion
    from scheduler.reasons import why_version

    with connection.cursor() as cursor:
        cursor.execute(_DEEPEST)
        ids = [pk for (pk,) in cursor.fetchall()]
    print(f"{ArtifactVersion.objects.count()} versions")
    for version in ArtifactVersion.objects.select_related("artifact").filter(pk__in=ids):
        times = []
        for _ in range(LOOKS):
            began = time.perf_counter()
            why = why_version(version, may_read=lambda project, domain: True)
            times.append((time.perf_counter() - began) * 1000)
        worst = max(times)
        print(f"{version}: {len(why.steps)} decisions, p50 {statistics.median(times):.1f} ms, worst {worst:.1f} ms")


if __name__ == "__main__":
    main()
