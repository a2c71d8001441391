#!/bin/sh
# flytekit 1.16.31: what a cached task returned is remembered in the home folder, but a frame, a file or a model of it lies in
# the temporary folder. When that has been emptied (a restart of the machine, a timer), running the program again on the
# same machine is a hit of the cache all the same: it fails with the path of a file that nobody knows, and no word of the
# cache. The task itself is not run again. `pyflyte local-cache clear` helps; what is an int or a str is not touched.
#
# Seen on 2026-11-29 with pandas 2.3.3 and pyarrow 22.0.0:
#   first run: 3 rows
#   temporary folder emptied: TypeTransformerFailedError, No such file or directory: <path>
#   after pyflyte local-cache clear: 3 rows
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet flytekit==1.16.31 pandas==2.3.3 pyarrow==22.0.0 2>/dev/null
mkdir "$folder/home" "$folder/temporary"
export HOME="$folder/home" TMPDIR="$folder/temporary"
cat >"$folder/program.py" <<'PY'
import pandas as pd
from flytekit import task, workflow


@task(cache=True, cache_version="1")
def rows() -> pd.DataFrame:
    return pd.DataFrame({"a": [1, 2, 3]})


@task
def count(rows: pd.DataFrame) -> int:
    return len(rows)


@workflow
def counted() -> int:
    return count(rows=rows())


try:
    print(counted(), "rows")
except Exception as error:
    said = str(error).strip().splitlines()[-1]
    print(f"{type(error).__name__},", said.rpartition("] ")[2].partition(": ")[0] + ": <path>" if "/raw/" in said else said)
PY
run() { (cd "$folder" && "$folder/venv/bin/python" program.py 2>/dev/null); }
first=$(run)
rm -rf "$TMPDIR"/*
second=$(run)
"$folder/venv/bin/pyflyte" local-cache clear >/dev/null 2>&1
third=$(run)
echo "first run: $first
temporary folder emptied: $second
after pyflyte local-cache clear: $third"
[ "$first" = "3 rows" ] && [ "$second" = "TypeTransformerFailedError, No such file or directory: <path>" ] && [ "$third" = "3 rows" ]
