#!/bin/sh
# apache-superset 6.1.0: one of its engines (db_engine_specs/aws_iam.py) imports cachetools, which it does not ask for. All
# engines are loaded when the first database is tested, so PostgreSQL is refused too, whatever its address: the REST API says
# "Connection failed, please check your connection settings", and what lies below "Could not load database driver".
#
# Seen on 2026-11-29 (what the test of a connection raises, without cachetools, and with it):
#   DatabaseTestConnectionDriverError: Could not load database driver for: sqlite
#   None
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# flask-caching and rich are two more: it does not start with the newest of the one, and its command wants the other
"$folder/venv/bin/pip" install --quiet apache-superset==6.1.0 "flask-caching<2.4" rich 2>/dev/null
cat >"$folder/superset_config.py" <<PY
SECRET_KEY = "of a finding, of no use to anybody"
SQLALCHEMY_DATABASE_URI = "sqlite:///$folder/superset.db"
PREVENT_UNSAFE_DB_CONNECTIONS = False
PY
cat >"$folder/connect.py" <<'PY'
import sys

from superset.app import create_app

app = create_app()
with app.app_context(), app.test_request_context():
    from superset.commands.database.test_connection import TestConnectionDatabaseCommand

    try:
        TestConnectionDatabaseCommand({"sqlalchemy_uri": f"sqlite:///{sys.argv[1]}", "database_name": "one"}).run()
        said = None
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    print("said:", said)
PY
export SUPERSET_CONFIG_PATH="$folder/superset_config.py" SUPERSET_HOME="$folder" HOME="$folder" FLASK_APP=superset
"$folder/venv/bin/superset" db upgrade >/dev/null 2>&1
try() { "$folder/venv/bin/python" "$folder/connect.py" "$folder/other.db" 2>/dev/null | sed -n 's/^said: //p'; }
without=$(try)
"$folder/venv/bin/pip" install --quiet cachetools 2>/dev/null
with=$(try)
echo "$without"
echo "$with"
[ "$without" = "DatabaseTestConnectionDriverError: Could not load database driver for: sqlite" ]
[ "$with" = "None" ]
