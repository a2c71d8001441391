#!/bin/sh
# keras 3.15.1 with tensorflow-cpu 2.21.0: `model.fit` within `tf.distribute.MultiWorkerMirroredStrategy` ends before its first
# step, although the model was made and compiled in the strategy's scope, as TensorFlow's guides write it: what Keras builds the
# model by gets rows of this worker, a PerReplica, and takes them for an array. A loop of one's own with `strategy.run` trains.
#
# Seen on 2026-11-29 by the first of two workers of this machine:
#   fit: ValueError: Attempt to convert a value (PerReplica
#   loop: [9.0, 3.24, 1.17]
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tensorflow-cpu==2.21.0 keras==3.15.1 2>/dev/null
cat >"$folder/worker.py" <<'PY'
import keras
import numpy as np
import tensorflow as tf

strategy = tf.distribute.MultiWorkerMirroredStrategy()
rows = tf.data.Dataset.from_tensor_slices((np.ones((12, 3), "float32"), np.full(12, 6.0, "float32"))).batch(4)
with strategy.scope():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)
try:
    model.fit(rows, verbose=0)
    print("fit: trained")
except Exception as error:
    print(f"fit: {type(error).__name__}: {str(error).partition(':')[0]}")


def once(x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(x, training=True)[:, 0] - y) ** 2)
    optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
    return loss


@tf.function
def step(x, y):
    return strategy.reduce(tf.distribute.ReduceOp.MEAN, strategy.run(once, args=(x, y)), axis=None)


print("loop:", [round(float(step(x, y)), 2) for x, y in strategy.experimental_distribute_dataset(rows)])
PY
cat >"$folder/both.py" <<'PY'
import json
import os
import socket
import subprocess
import sys

sockets = [socket.socket() for _ in "ab"]
for one in sockets:
    one.bind(("127.0.0.1", 0))
workers = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
for one in sockets:
    one.close()
running = []
for number in (0, 1):
    told = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": number}}
    env = {**os.environ, "TF_CONFIG": json.dumps(told), "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    running.append(subprocess.Popen([sys.executable, sys.argv[1]], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL))
print(running[0].communicate(timeout=500)[0].decode(), end="")
running[1].communicate(timeout=60)
PY
found=$("$folder/venv/bin/python" "$folder/both.py" "$folder/worker.py")
echo "$found"
[ "$found" = "fit: ValueError: Attempt to convert a value (PerReplica
loop: [9.0, 3.24, 1.17]" ]
