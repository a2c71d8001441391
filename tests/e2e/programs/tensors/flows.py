"""A Keras model out of one task into another one, its training data too, and a training of two workers of TensorFlow."""

from typing import Annotated

import keras
import numpy as np
import tensorflow as tf
from flytekit import Artifact, task, workflow
from flytekit.types.directory import TFRecordsDirectory
from flytekitplugins.kftensorflow import PS, Chief, TfJob, Worker

IMAGE = "ghcr.io/isles/tensors:v1"


class Tide(keras.Model):
    """A class of the program's own, which Keras is not told of (`register_keras_serializable`)."""

    def __init__(self, **options):
        super().__init__(**options)
        self.line = keras.layers.Dense(1, kernel_initializer="ones")

    def call(self, rows):
        return self.line(rows)


@task(container_image=IMAGE)
def catches(n: int) -> tuple[tf.data.Dataset, Annotated[TFRecordsDirectory, Artifact(name="tensor-records")]]:
    rows = tf.data.Dataset.from_tensor_slices((np.ones((n, 3), "float32"), np.full(n, 6.0, "float32")))
    numbers = [tf.train.Feature(int64_list=tf.train.Int64List(value=[number])) for number in range(n)]
    return rows, [tf.train.Example(features=tf.train.Features(feature={"n": one})) for one in numbers]


@task(container_image=IMAGE)
def train(rows: tf.data.Dataset) -> tuple[Annotated[keras.Model, Artifact(name="tensor-model")], Tide]:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mse")
    model.fit(rows.batch(2), epochs=1, verbose=0)
    tide = Tide()
    tide(np.ones((1, 3)))
    return model, tide


@task(container_image=IMAGE)
def score(model: keras.Model, tide: Tide, records: TFRecordsDirectory) -> str:
    told = [float(one.predict(np.ones((1, 3)), verbose=0)[0][0]) for one in (model, tide)]
    numbers = [tf.train.Example.FromString(one.numpy()).features.feature["n"].int64_list.value[0] for one in records]
    return f"{told} {type(tide).__name__} {numbers == sorted(numbers)} {len(numbers)}"


@workflow
def model_wf(n: int = 12) -> str:
    rows, records = catches(n=n)
    model, tide = train(rows=rows)
    return score(model=model, tide=tide, records=records)


@task(
    container_image=IMAGE,
    task_config=TfJob(chief=Chief(replicas=0), ps=PS(replicas=0), worker=Worker(replicas=2)),
)
def train_together(n: int) -> str:
    """A loop of its own: Keras 3.15's `fit` takes no rows of several workers. Each has half of every batch, and what one
    applies is the mean of what both found: the loss goes as it would with one.
    """
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    with strategy.scope():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="ones")])
        optimizer = keras.optimizers.SGD(0.1)
        optimizer.build(model.trainable_variables)
    rows = tf.data.Dataset.from_tensor_slices((np.ones((n, 3), "float32"), np.full(n, 6.0, "float32")))

    def once(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x, training=True)[:, 0] - y) ** 2)
        found = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(found, model.trainable_variables))
        rank = tf.constant(strategy.cluster_resolver.task_id + 1)
        return loss, tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, rank)

    @tf.function
    def step(x, y):
        loss, ranks = strategy.run(once, args=(x, y))
        return strategy.reduce(tf.distribute.ReduceOp.MEAN, loss, axis=None), ranks

    told = [step(x, y) for x, y in strategy.experimental_distribute_dataset(rows.batch(4))]
    losses = [round(float(loss), 2) for loss, _ in told]
    return f"{losses} by {strategy.num_replicas_in_sync}, {int(told[0][1])} of 3"


@workflow
def together_wf(n: int = 12) -> str:
    return train_together(n=n)
