"""Compiles what Causeway imports, beside the process that imports it: after an installation nothing is compiled yet.

    python -m console.supervisor.compiling

Compiling takes most of a first start, and one processor of it. Here the other one does a part: from the end of what the
supervisor imports (warm.py), so that the two meet somewhere. Both write what they compile where each looks first, and
replace a file as a whole. Where all is compiled already this ends at once.
"""

from __future__ import annotations

import compileall
import contextlib
import importlib
import importlib.util
import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# Ours, and others' that need no settings; those that are imported last come first.
OURS = ("console/pages", "console/rest", "console/rpc", "console/oauth", "scheduler", "console", "lineage", "artifacts")
OTHERS = (
    "celery.apps.worker",
    "celery.worker.consumer",
    "kombu.transport.redis",
    "celery.events.receiver",
    "grpc",
    "authlib.integrations.django_oauth2",
    "gunicorn.http.wsgi",
    "redis",
    "flyteidl.admin.launch_plan_pb2",
    "google.protobuf.json_format",
    "psycopg",
)


# What the supervisor imports none of, or little.
NOT = re.compile(r"/(migrations|management|executors|filling|supervisor|kept|tests)/")
LAST = (ROOT / "console" / "urls.py", "celery")  # whether these are compiled says whether all is


def is_all_compiled() -> bool:
    others = importlib.util.find_spec(LAST[1])
    files = [str(LAST[0]), *([others.origin] if others is not None and others.origin else [])]
    return all(Path(importlib.util.cache_from_source(file)).exists() for file in files)


def main() -> None:
    if is_all_compiled():
        return
    with contextlib.suppress(OSError):
        os.nice(1)  # it only helps
    for part in OTHERS[:4]:
        _import(part)
    for folder in OURS:
        compileall.compile_dir(ROOT / folder, quiet=2, rx=NOT)
    for part in OTHERS[4:]:
        _import(part)


def _import(name: str) -> None:
    with contextlib.suppress(Exception):  # the supervisor's own import says what is wrong
        importlib.import_module(name)


if __name__ == "__main__":
    main()
