#!/bin/sh
# flytekit 1.16.31: an item of a map makes objects of its whole list to use one of them. Flyte gives all items of a map the
# same file of inputs and each an index; pyflyte-map-execute reads the file, makes a Literal with its Scalar and Primitive of
# every element, and then takes the one that is its own. So what the items of a map do grows with the square of their number:
# of a list of 20,000 numbers an item spends most of its time on the 19,999 that other items are for.
#
# Seen on 2026-11-30 with Python 3.11 (the last of 200 and of 2,000 items; how many literals of numbers were made for it, and
# what it gave):
#   200 items: 200 made, gave 199
#   2000 items: 2000 made, gave 1999
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet flytekit==1.16.31 2>/dev/null
mkdir "$folder/work" "$folder/store"
cat >"$folder/work/same.py" <<'PY'
from flytekit import task


@task
def same(n: int) -> int:
    return n
PY
cat >"$folder/work/watched.py" <<'PY'
import os
import sys

from flyteidl.core import literals_pb2
from flytekit.bin import entrypoint
from flytekit.models.literals import Primitive

made = 0
make = Primitive.from_flyte_idl


def counted(cls, message):
    global made
    made += 1
    return make(message)


Primitive.from_flyte_idl = classmethod(counted)
store, size = sys.argv[1], int(sys.argv[2])
inputs = literals_pb2.LiteralMap()
for number in range(size):
    inputs.literals["n"].collection.literals.add().scalar.primitive.integer = number
with open(f"{store}/inputs.pb", "wb") as file:
    file.write(inputs.SerializeToString())
os.environ.update(BATCH_JOB_ARRAY_INDEX_VAR_NAME="FLYTE_K8S_ARRAY_INDEX", FLYTE_K8S_ARRAY_INDEX=str(size - 1))
places = ["--inputs", f"{store}/inputs.pb", "--output-prefix", f"file://{store}/out", "--raw-output-data-prefix", f"file://{store}/raw"]
resolver = ["--resolver", "flytekit.core.array_node_map_task.ArrayNodeMapTaskResolver"]
names = ["--", "vars", "", "resolver", "flytekit.core.python_auto_container.default_task_resolver", "task-module", "same", "task-name", "same"]
entrypoint.map_execute_task_cmd.main([*places, *resolver, *names], standalone_mode=False)
with open(f"{store}/out/outputs.pb", "rb") as file:
    gave = literals_pb2.LiteralMap.FromString(file.read()).literals["o0"].scalar
value = gave.primitive.integer if gave.HasField("primitive") else gave
print(f"{size} items: {made} made, gave {value}")
PY
cd "$folder/work"
found=$(for size in 200 2000; do
    "$folder/venv/bin/python" watched.py "$folder/store" "$size" 2>/dev/null | grep -v '^$'
done)
echo "$found"
[ "$found" = "200 items: 200 made, gave 199
2000 items: 2000 made, gave 1999" ]
