#!/bin/sh
# flytekitplugins-modin 1.16.31: a frame that another library wrote (pandas, Polars, Spark: a StructuredDataset) is read as a frame
# without rows and columns, and nothing says so. The plug-in knows Schema alone, which is what it makes of Modin's own frames.
#
# Seen on 2026-11-29 with modin 0.37.1 and pandas 2.3.3:
#   pandas wrote (3, 2), modin reads (0, 0)
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet flytekit==1.16.31 flytekitplugins-modin==1.16.31 modin==0.37.1 pandas==2.3.3 pyarrow 2>/dev/null
cat >"$folder/frames.py" <<'PY'
import os

os.environ["MODIN_ENGINE"] = "python"
import flytekitplugins.modin
import modin.pandas as frames
import pandas
from flytekit import FlyteContextManager
from flytekit.core.type_engine import TypeEngine

context = FlyteContextManager.current_context()
rows = pandas.DataFrame({"boat": ["Gull", "Tern", "Auk"], "fish": [1, 2, 3]})
literal = TypeEngine.to_literal(context, rows, pandas.DataFrame, TypeEngine.to_literal_type(pandas.DataFrame))
found = TypeEngine.to_python_value(context, literal, frames.DataFrame)
print(f"pandas wrote {rows.shape}, modin reads {found.shape}")
PY
found=$("$folder/venv/bin/python" "$folder/frames.py" 2>/dev/null)
echo "$found"
[ "$found" = "pandas wrote (3, 2), modin reads (0, 0)" ]
