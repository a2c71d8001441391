#!/bin/sh
# whylogs 1.6.4, the newest, says nothing of the pandas that it goes with. With pandas 3 (and the numpy 2 that it needs) `why.log` of a frame
# with texts ends with an AttributeError: a column's type is a class there, which whylogs compares with np.unicode_, gone
# from numpy 2. With pandas 2 it never asks, so that the same numpy is no trouble.
#
# Seen on 2026-11-29 with numpy 2.4.6 (pandas 3.1.1, and 2.3.3):
#   AttributeError: `np.unicode_` was removed in the NumPy 2.0 release. Use `np.str_` instead.
#   2 columns
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cat >"$folder/said.py" <<'PY'
import pandas
import whylogs

rows = pandas.DataFrame({"boat": ["Gull", "Tern"], "fish": [1, 2]})
try:
    print(len(whylogs.log(rows).view().get_columns()), "columns")
except AttributeError as error:
    print(f"AttributeError: {error}")
PY
try() {
    "$folder/venv/bin/pip" install --quiet whylogs==1.6.4 "pandas==$1" numpy==2.4.6 2>/dev/null
    "$folder/venv/bin/python" "$folder/said.py" 2>/dev/null
}
newest=$(try 3.1.1)
before=$(try 2.3.3)
echo "$newest"
echo "$before"
[ "$newest" = "AttributeError: \`np.unicode_\` was removed in the NumPy 2.0 release. Use \`np.str_\` instead." ]
[ "$before" = "2 columns" ]
