#!/bin/sh
# whylogs 1.6.4, the newest: it says of numpy no more than that it needs one, pip takes numpy 2, and then `why.log` of any frame
# ends with an AttributeError: its types are told by np.unicode_, which numpy 2 has not. The import succeeds.
#
# Seen on 2026-11-29 (numpy 2.4.6, and 1.26.4):
#   AttributeError: `np.unicode_` was removed in the NumPy 2.0 release. Use `np.str_` instead.
#   2 columns
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet whylogs==1.6.4 pandas==2.3.3 2>/dev/null
cat >"$folder/profile.py" <<'PY'
import pandas
import whylogs

rows = pandas.DataFrame({"boat": ["Gull", "Tern"], "fish": [1, 2]})
try:
    print(len(whylogs.log(rows).view().get_columns()), "columns")
except AttributeError as error:
    print(f"AttributeError: {error}")
PY
try() { (cd "$folder" && mkdir -p run && cp profile.py run/said.py && cd run && "$folder/venv/bin/python" said.py 2>/dev/null); }
with=$(try)
"$folder/venv/bin/pip" install --quiet "numpy<2" 2>/dev/null
without=$(try)
echo "$with"
echo "$without"
[ "$with" = "AttributeError: \`np.unicode_\` was removed in the NumPy 2.0 release. Use \`np.str_\` instead." ]
[ "$without" = "2 columns" ]
