#!/bin/sh
# dagster-postgres 0.29.27: as pip installs it, Dagster does not start with its state in PostgreSQL. The package requires psycopg2 and no
# upper bound of SQLAlchemy; since SQLAlchemy 2.1 the URL that it makes of hostname, username and password (postgresql://) is
# one of psycopg 3, which nothing has installed. SQLAlchemy 2.0 beside it, or a `postgres_url` that begins with
# postgresql+psycopg2://, is taken. The storage looks for its tables at once, so that nothing listening is what it should find.
#
# Seen on 2026-11-30 (without a server, with SQLAlchemy 2.1.9, then with 2.0.58):
#   fields: ModuleNotFoundError: No module named 'psycopg'
#   URL with its driver: the server is looked for
#   fields: the server is looked for
#   URL with its driver: the server is looked for
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet dagster==1.13.27 dagster-postgres==0.29.27 SQLAlchemy==2.1.9 2>/dev/null
cat >"$folder/made.py" <<'PY'
import sys
import tempfile
from pathlib import Path

from dagster import DagsterInstance

FIELDS = "postgres_db: {hostname: 127.0.0.1, port: 1, username: a, password: b, db_name: c}"
for name, said in {"fields": FIELDS, "URL with its driver": "postgres_url: postgresql+psycopg2://a:b@127.0.0.1:1/c"}.items():
    home = Path(tempfile.mkdtemp(dir=sys.argv[1]))
    (home / "dagster.yaml").write_text(f"storage: {{postgres: {{{said}}}}}\n")
    try:
        DagsterInstance.from_config(str(home))
        print(f"{name}: made")
    except ModuleNotFoundError as error:
        print(f"{name}: {type(error).__name__}: {error}")
    except Exception as error:
        cause = f"{error} {error.__cause__}"
        refused = "refused" in cause or "retry limit" in cause
        print(f"{name}: {'the server is looked for' if refused else cause[:300]}")
PY
made() { "$folder/venv/bin/python" "$folder/made.py" "$folder" 2>/dev/null; }
found=$(made)
"$folder/venv/bin/pip" install --quiet SQLAlchemy==2.0.58 2>/dev/null
found="$found
$(made)"
echo "$found"
[ "$found" = "fields: ModuleNotFoundError: No module named 'psycopg'
URL with its driver: the server is looked for
fields: the server is looked for
URL with its driver: the server is looked for" ]
