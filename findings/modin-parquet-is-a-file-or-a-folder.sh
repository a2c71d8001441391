#!/bin/sh
# modin 0.37.1: what `to_parquet(path)` makes depends on the engine, which is whatever is installed: with Dask (and Ray) `path` becomes a
# folder with a file of each part, in a single process a file, and a folder that is there already is taken by the one and refused
# by the other. pandas, whose drop-in it is, makes a file.
#
# Seen on 2026-11-29 with dask 2026.8.0 and pandas 2.3.3:
#   dask: a folder written; python: a file IsADirectoryError
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "modin[dask]==0.37.1" dask==2026.8.0 distributed==2026.8.0 pandas==2.3.3 pyarrow 2>/dev/null
cat >"$folder/frames.py" <<'PY'
import os
import sys

import modin.pandas as pd

if __name__ == "__main__":
    where = sys.argv[1]
    rows = pd.DataFrame({"fish": range(10)})
    rows.to_parquet(f"{where}/one")
    os.mkdir(f"{where}/two")
    try:
        rows.to_parquet(f"{where}/two")
        said = "written"
    except OSError as error:
        said = type(error).__name__
    print("said:", "a folder" if os.path.isdir(f"{where}/one") else "a file", said)
PY
for engine in dask python; do
    mkdir "$folder/$engine"
    MODIN_ENGINE=$engine "$folder/venv/bin/python" "$folder/frames.py" "$folder/$engine" 2>/dev/null | sed -n "s/^said: //p" >"$folder/$engine.said"
done
echo "dask: $(cat "$folder/dask.said"); python: $(cat "$folder/python.said")"
[ "$(cat "$folder/dask.said")" = "a folder written" ]
[ "$(cat "$folder/python.said")" = "a file IsADirectoryError" ]
