#!/bin/sh
# flytekit 1.16.31: a task that adds one to a number, with its store on the same disk, makes five folders and writes two files
# beside the one that is its output. pyflyte-execute copies the inputs into a folder of its own and reads the copy, writes the
# outputs into another folder and copies that into place, and makes a folder for checkpoints although the task has none
# (wherever it is given a checkpoint path, which Flyte gives every task). On a disk where making a file is dear that is most
# of a small task's time.
#
# Seen on 2026-11-30 with Python 3.11 (made below the temporary folder after flytekit was imported; what of it is left when
# the task has ended; what is in the folder of its outputs):
#   folders 5 files 2
#   left: engine_dir/outputs.pb inputs.pb
#   outputs: outputs.pb
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet flytekit==1.16.31 2>/dev/null
mkdir "$folder/work" "$folder/tmp" "$folder/store"
cat >"$folder/work/one.py" <<'PY'
from flytekit import task


@task
def one_more(n: int) -> int:
    return n + 1
PY
cat >"$folder/work/watched.py" <<'PY'
import os
import sys

made, written = set(), set()
place = os.environ["TMPDIR"]


def watch(event, arguments):
    if event == "os.mkdir" and str(arguments[0]).startswith(place):
        made.add(str(arguments[0]))
    if event == "open" and str(arguments[0]).startswith(place) and (arguments[2] or 0) & os.O_CREAT:
        written.add(str(arguments[0]))


from flytekit.bin import entrypoint
from flyteidl.core import literals_pb2

store = sys.argv[1]
inputs = literals_pb2.LiteralMap()
inputs.literals["n"].scalar.primitive.integer = 1
with open(f"{store}/inputs.pb", "wb") as file:
    file.write(inputs.SerializeToString())
sys.addaudithook(watch)
places = ["--inputs", f"{store}/inputs.pb", "--output-prefix", f"file://{store}/out", "--raw-output-data-prefix", f"file://{store}/raw"]
places += ["--checkpoint-path", f"file://{store}/checkpoints", "--prev-checkpoint", '""']
resolver = ["--resolver", "flytekit.core.python_auto_container.default_task_resolver"]
names = ["--", "task-module", "one", "task-name", "one_more"]
entrypoint.execute_task_cmd.main([*places, *resolver, *names], standalone_mode=False)
print("folders", len(made), "files", len(written))
left = sorted(path for path in written if os.path.exists(path))
print("left:", *("/".join(path.split("/")[-2:]) if "engine_dir" in path else os.path.basename(path) for path in left))
print("outputs:", *os.listdir(f"{store}/out"))
PY
cd "$folder/work"
found=$(TMPDIR="$folder/tmp" "$folder/venv/bin/python" watched.py "$folder/store" 2>/dev/null | grep -v '^$')
echo "$found"
[ "$found" = "folders 5 files 2
left: engine_dir/outputs.pb inputs.pb
outputs: outputs.pb" ]
