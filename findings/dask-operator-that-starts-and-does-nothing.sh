#!/bin/sh
# dask-kubernetes 2026.3.0: `kopf run -m dask_kubernetes.operator` starts, logs in to the cluster and handles no object at all, for ever and
# without a word: the handlers are those of dask_kubernetes.operator.controller, which that module does not import.
#
# Seen on 2026-11-30 (kopf 1.45.2):
#   handlers of objects in dask_kubernetes.operator: 0
#   handlers of objects in dask_kubernetes.operator.controller: 13
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet dask-kubernetes==2026.3.0 kopf==1.45.2 2>/dev/null
cat >"$folder/handlers.py" <<'PY'
import importlib
import sys

import kopf

importlib.import_module(sys.argv[1])
registry = kopf.get_default_registry()
print(f"handlers of objects in {sys.argv[1]}: {len(list(registry._changing._handlers))}")
PY
found=$(for one in dask_kubernetes.operator dask_kubernetes.operator.controller; do
    "$folder/venv/bin/python" "$folder/handlers.py" "$one" 2>/dev/null
done)
echo "$found"
[ "$found" = "handlers of objects in dask_kubernetes.operator: 0
handlers of objects in dask_kubernetes.operator.controller: 13" ]
