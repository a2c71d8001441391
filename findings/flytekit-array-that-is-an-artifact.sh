#!/bin/sh
# flytekit 1.16.31: an Artifact in the annotation of a numpy array is refused, when the task has done its work. A frame, a
# model, a number or a file with the same annotation is published; the transformer of arrays alone takes every word that it
# does not know for a mistake ("must be of type kwtypes or HashMethod"), although nothing of it says how to store the array.
#
# Seen on 2026-11-29 with numpy 2.4.6:
#   a float is stored
#   an array: The metadata for ... must be of type kwtypes or HashMethod.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet flytekit==1.16.31 numpy==2.4.6 2>/dev/null
cat >"$folder/arrays.py" <<'PY'
from typing import Annotated

import numpy as np
from flytekit import FlyteContextManager
from flytekit.core.artifact import Artifact
from flytekit.core.type_engine import TypeEngine

context = FlyteContextManager.current_context()
for name, value, kind in (("a float", 0.5, float), ("an array", np.eye(2), np.ndarray)):
    annotated = Annotated[kind, Artifact(name="weights")]
    try:
        TypeEngine.to_literal(context, value, annotated, TypeEngine.to_literal_type(annotated))
        print(name, "is stored")
    except Exception as error:
        print(f"{name}:", "The metadata for ...", str(error).partition("]")[2].strip() or error)
PY
found=$(cd "$folder" && "$folder/venv/bin/python" arrays.py 2>/dev/null)
echo "$found"
case $found in
"a float is stored
an array: The metadata for ... must be of type kwtypes or HashMethod."*) ;;
*) exit 1 ;;
esac
