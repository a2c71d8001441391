#!/bin/sh
# flytekit 1.16.31: the records of a TFRecordsDirectory are read in the order in which the file system lists their files, not in that
# in which the task gave them: rows and labels of two such folders do not go together any more.
#
# Seen on 2026-11-29 with tensorflow-cpu 2.21.0 (the disk chose "3 0 1 2" of four, say; where it lists files by name, 10 is before 2):
#   of 20 records the order is kept: False
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet flytekit==1.16.31 tensorflow-cpu==2.21.0 2>/dev/null
cat >"$folder/records.py" <<'PY'
import tensorflow as tf
from flytekit import FlyteContextManager
from flytekit.core.type_engine import TypeEngine
from flytekit.types.directory import TFRecordsDirectory

context = FlyteContextManager.current_context()


def example(number):
    one = tf.train.Feature(int64_list=tf.train.Int64List(value=[number]))
    return tf.train.Example(features=tf.train.Features(feature={"n": one}))


def number(record):
    return tf.train.Example.FromString(record.numpy()).features.feature["n"].int64_list.value[0]


kind = TFRecordsDirectory
literal = TypeEngine.to_literal(context, [example(n) for n in range(20)], kind, TypeEngine.to_literal_type(kind))
found = [number(record) for record in TypeEngine.to_python_value(context, literal, kind)]
assert sorted(found) == list(range(20))
print("of 20 records the order is kept:", found == list(range(20)))
PY
found=$(CUDA_VISIBLE_DEVICES= "$folder/venv/bin/python" "$folder/records.py" 2>/dev/null)
echo "$found"
[ "$found" = "of 20 records the order is kept: False" ]
