#!/bin/sh
# flytekit 1.16.31: where pyarrow was built for numpy 2 and numpy is older, `import pandas` works (pandas goes without pyarrow), but after
# `import flytekit` it gives a module without DataFrame and Series, and no error: flytekit loads pandas lazily (importlib's
# LazyLoader), what failed while it was loaded is lost, and the half that was loaded stays in sys.modules.
#
# Seen on 2026-11-29 with pandas 2.3.3, numpy 1.26.4, pyarrow 26.0.1:
#   pandas alone: True
#   after flytekit: False
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet flytekit==1.16.31 pandas==2.3.3 numpy==1.26.4 pyarrow==26.0.1 2>/dev/null
alone=$("$folder/venv/bin/python" -c 'import pandas; print(hasattr(pandas, "DataFrame"))' 2>/dev/null)
after=$("$folder/venv/bin/python" -c 'import flytekit, pandas; print(hasattr(pandas, "DataFrame"))' 2>/dev/null)
echo "pandas alone: $alone"
echo "after flytekit: $after"
[ "$alone" = True ] && [ "$after" = False ]
