"""Values of frameworks out of one task, through the store, into another one: `python trips.py NAME`.

Run by tests/e2e/test_frameworks.py with the Python of a lab, where the framework is.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import causeway.types  # noqa: F401 - as flytekit loads it where the SDK is installed
from causeway import checkpoints
from flytekit import FlyteContextManager
from flytekit.core.checkpointer import SyncCheckpoint
from flytekit.core.type_engine import TypeEngine


def carried(value: Any, kind: type[Any]) -> tuple[Any, str]:
    """What the next task gets, and the format that it was stored in."""
    context = FlyteContextManager.current_context()
    told = TypeEngine.to_literal_type(kind)
    literal = TypeEngine.to_literal(context, value, kind, told)
    stored = (
        told.blob.format if told.blob else told.structured_dataset_type.format if told.structured_dataset_type else ""
    )
    return TypeEngine.to_python_value(context, literal, kind), stored


class Attempts:
    """Attempts of a task, one after the other, each with the checkpoint that flytekit would hand it."""

    def __init__(self) -> None:
        self.folder, self.number = Path(tempfile.mkdtemp()), -1

    def next(self) -> None:
        self.number += 1
        before = str(self.folder / str(self.number - 1)) if self.number else None
        one = SyncCheckpoint(str(self.folder / str(self.number)), before)
        checkpoints._of_task = lambda: one  # type: ignore[assignment]


def torch_module() -> None:
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
    rows = torch.ones(4, 3)
    found, stored = carried(model, torch.nn.Module)
    assert stored == "PyTorchModule" and torch.equal(found(rows), model(rows))
    tensor, stored = carried(rows, torch.Tensor)
    assert stored == "PyTorchTensor" and torch.equal(tensor, rows)


def xgboost_model() -> None:
    import numpy as np
    import xgboost as xgb

    data = xgb.DMatrix(np.arange(40.0).reshape(20, 2), np.arange(20) % 2)
    attempts = Attempts()
    attempts.next()
    began, done = checkpoints.xgboost_began()
    assert (began, done) == (None, 0)
    keep = checkpoints.xgboost(every_rounds=2)
    xgb.train({"max_depth": 2}, data, num_boost_round=5, callbacks=[keep])
    attempts.next()
    began, done = checkpoints.xgboost_began()
    assert done == 4
    model = xgb.train(
        {"max_depth": 2}, data, 10 - done, xgb_model=began, callbacks=[checkpoints.xgboost(every_rounds=2)]
    )
    assert model.num_boosted_rounds() == 10
    attempts.next()
    assert checkpoints.xgboost_began()[1] == 10
    found, stored = carried(model, xgb.Booster)
    assert stored == "XGBoostModel" and np.allclose(found.predict(data), model.predict(data))
    sklearn_model, stored = carried(xgb.XGBClassifier(n_estimators=2).fit(np.eye(4), [0, 1, 0, 1]), xgb.XGBClassifier)
    assert sklearn_model.predict(np.eye(4)).shape == (4,)
    from causeway.serving.forms import predictor

    assert len(predictor(found)([[1, 2], [3, 4]])) == 2


def keras_model() -> None:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras
    import numpy as np

    def fresh() -> Any:
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile(optimizer="adam", loss="mse")
        return model

    rows, told = np.ones((8, 2)), np.ones(8)
    attempts = Attempts()
    attempts.next()
    fresh().fit(rows, told, epochs=3, verbose=0, callbacks=[checkpoints.keras()])
    attempts.next()
    model, done = checkpoints.keras_began(fresh())
    assert done == 3
    history = model.fit(rows, told, epochs=5, initial_epoch=done, verbose=0, callbacks=[checkpoints.keras()])
    assert history.epoch == [3, 4]
    found, stored = carried(model, keras.Model)
    assert stored == "TensorFlowModel" and np.allclose(found.predict(rows, verbose=0), model.predict(rows, verbose=0))
    from causeway.serving.forms import predictor

    assert len(predictor(model)([[1, 2], [3, 4]])) == 2


MEETING = """
import flytekit
import torch
import torch.distributed as dist
from flytekit import task
from flytekitplugins.kfpytorch import Elastic, PyTorch, Worker


@task(task_config=PyTorch(worker=Worker(replicas=2), increase_shared_mem=False))
def replicas(n: int) -> str:
    dist.init_process_group("gloo")
    total = torch.tensor([float(dist.get_rank() + n)])
    dist.all_reduce(total)
    return f"{total.item():.0f} of {dist.get_world_size()} by {dist.get_rank()}"


@task(task_config=Elastic(nnodes=2, nproc_per_node=2, start_method="fork", increase_shared_mem=False))
def elastic(n: int) -> str:
    dist.init_process_group("gloo")
    total = torch.tensor([float(dist.get_rank() + n)])
    dist.all_reduce(total)
    return f"{total.item():.0f} of {dist.get_world_size()} by {dist.get_rank()}"
"""


def torch_replicas() -> None:
    """As the local executor runs them, without it: by the module that its task processes use."""
    import importlib.util

    from flyteidl.core import literals_pb2
    from flytekit.bin import entrypoint

    folder = Path(tempfile.mkdtemp())
    (folder / "meeting.py").write_text(MEETING)
    sys.path.insert(0, str(folder))
    os.environ.update(PYTHONPATH=os.pathsep.join(sys.path), FLYTE_INTERNAL_EXECUTION_ID="meeting", USE_LIBUV="0")
    path = Path(__file__).parents[3] / "scheduler/executors/local/zygote/together.py"
    spec = importlib.util.spec_from_file_location("together", path)
    together: Any = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(together)  # type: ignore[union-attr]
    given = literals_pb2.LiteralMap()
    given.literals["n"].scalar.primitive.integer = 10
    (folder / "inputs.pb").write_bytes(given.SerializeToString())

    def alone(args: list[str]) -> int:
        entrypoint.execute_task_cmd.main(args=args[1:], standalone_mode=False)
        return 0

    for name, form, said in (
        ("replicas", {"form": "torch", "count": 3}, "33 of 3 by 0"),
        ("elastic", {"form": "elastic", "count": 2}, "46 of 4 by 0"),
    ):
        places = ["--inputs", str(folder / "inputs.pb"), "--output-prefix", str(folder / name)]
        places += ["--raw-output-data-prefix", str(folder / "raw")]
        resolver = ["--resolver", "flytekit.core.python_auto_container.default_task_resolver"]
        loader = ["--", "task-module", "meeting", "task-name", name]
        assert together.run(form, ["pyflyte-execute", *places, *resolver, *loader], alone) == 0
        outputs = literals_pb2.LiteralMap.FromString((folder / name / "outputs.pb").read_bytes())
        assert outputs.literals["o0"].scalar.primitive.string_value == said, outputs


def lightning_training() -> None:
    import lightning as L
    import torch

    class Line(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.line = torch.nn.Linear(2, 1)

        def training_step(self, batch: Any, number: int) -> Any:
            return self.line(batch[0]).pow(2).mean()

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.1)

    rows = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(8, 2)), batch_size=4)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False, "accelerator": "cpu"}
    attempts = Attempts()
    attempts.next()
    L.Trainer(max_epochs=2, callbacks=[checkpoints.lightning()], **quiet).fit(Line(), rows)
    attempts.next()
    began = checkpoints.restored()
    assert began is not None
    trainer = L.Trainer(max_epochs=3, callbacks=[checkpoints.lightning()], **quiet)
    seen: list[int] = []
    trainer.callbacks.append(
        type("Note", (L.Callback,), {"on_train_epoch_start": lambda s, t, m: seen.append(t.current_epoch)})()
    )
    trainer.fit(Line(), rows, ckpt_path=began / "last.ckpt", weights_only=False)
    assert seen == [2]


def hugging_face() -> None:
    import datasets
    import torch
    from transformers import Trainer, TrainingArguments

    every = datasets.DatasetDict(
        {name: datasets.Dataset.from_dict({"x": [[1.0, 2.0]] * 8, "labels": [1.0] * 8}) for name in ("train", "test")}
    )
    found, stored = carried(every, datasets.DatasetDict)
    assert stored == "HuggingFaceDatasetDict" and sorted(found) == ["test", "train"]
    assert found["train"].to_dict() == every["train"].to_dict()

    class Line(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line = torch.nn.Linear(2, 1)

        def forward(self, x: Any, labels: Any = None) -> Any:
            told = self.line(x).squeeze(-1)
            return {"loss": (told - labels).pow(2).mean(), "logits": told}

    def trainer(folder: str, steps: int) -> Any:
        asked = TrainingArguments(folder, max_steps=steps, save_steps=2, report_to=[], use_cpu=True, disable_tqdm=True)
        return Trainer(Line(), asked, train_dataset=every["train"], callbacks=[checkpoints.hugging_face()])

    attempts = Attempts()
    attempts.next()
    trainer(tempfile.mkdtemp(), 4).train()
    attempts.next()
    began = checkpoints.restored()
    assert began is not None
    again = trainer(tempfile.mkdtemp(), 6)
    again.train(resume_from_checkpoint=str(began))
    assert again.state.global_step == 6


def frames() -> None:
    """Out of one library, into another one, without pandas between where both speak Arrow."""
    import polars as pl
    import pyarrow as pa

    context, kinds = FlyteContextManager.current_context(), (pl.DataFrame, pa.Table)
    made = pl.DataFrame({"boat": ["Gull", None], "fish": [1, 2]})
    values: dict[Any, Any] = {pl.DataFrame: made, pa.Table: made.to_arrow()}
    for kind in kinds:
        literal = TypeEngine.to_literal(context, values[kind], kind, TypeEngine.to_literal_type(kind))
        for other in kinds:
            found = TypeEngine.to_python_value(context, literal, other)
            assert isinstance(found, other), (kind, other, type(found))
            assert pl.DataFrame(found).equals(made), (kind, other)


def arrays() -> None:
    """An array as an artifact, whose annotation says nothing to flytekit's transformer; with what it knows, too."""
    from typing import Annotated

    import numpy as np
    from flytekit import kwtypes
    from flytekit.core.artifact import Artifact

    weights: Any = Annotated[np.ndarray, Artifact(name="weights")]
    found, stored = carried(np.eye(2), weights)
    assert stored == "NumpyArray" and (found == np.eye(2)).all()
    objects: Any = Annotated[np.ndarray, Artifact(name="words"), kwtypes(allow_pickle=True)]
    assert carried(np.array([{"a": 1}], dtype=object), objects)[0][0] == {"a": 1}


def h2o_model() -> None:
    """Read in the server that trained it, and in one of its own where there is none."""
    import h2o
    import pandas as pd
    from h2o.estimators import H2OGradientBoostingEstimator

    server = h2o.backend.H2OLocalServer.start(port="54450+", bind_to_localhost=True, verbose=False)
    h2o.connect(server=server, verbose=False)
    rows = pd.DataFrame({"a": range(40), "y": [2.0 * n for n in range(40)]})
    model = H2OGradientBoostingEstimator(ntrees=3, seed=1)
    model.train(x=["a"], y="y", training_frame=h2o.H2OFrame(rows))
    context, kind = FlyteContextManager.current_context(), H2OGradientBoostingEstimator
    literal = TypeEngine.to_literal(context, model, kind, TypeEngine.to_literal_type(kind))
    said = predictions(model, rows)
    assert literal.scalar.blob.metadata.type.format == "H2OModel"
    assert predictions(TypeEngine.to_python_value(context, literal, kind), rows) == said
    h2o.connection().close()
    server.shutdown()
    found = TypeEngine.to_python_value(context, literal, kind)
    assert isinstance(found, H2OGradientBoostingEstimator) and predictions(found, rows) == said


def predictions(model: Any, rows: Any) -> list[float]:
    import h2o

    return [round(float(one[0]), 6) for one in model.predict(h2o.H2OFrame(rows)).as_data_frame(use_pandas=False)[1:]]


def pandera_report() -> None:
    import pandas as pd
    import pandera.pandas as pa
    import pandera.polars as pap
    import polars as pl
    from causeway import decks

    schemas = ((pa, pd.DataFrame), (pap, pl.DataFrame))
    for library, frame in schemas:
        schema = library.DataFrameSchema({"fish": library.Column(int, library.Check.le(100))})
        try:
            schema.validate(frame({"fish": [1, 101, 102]}), lazy=True)
        except library.errors.SchemaErrors as errors:
            html = decks.quality(errors)
        assert "less_than_or_equal_to(100)" in html and ">102<" in html and html.count('<th scope="row">fish') >= 2


def great_expectations_report() -> None:
    import great_expectations as gx
    import pandas as pd
    from causeway import decks

    batch = (
        gx.get_context(mode="ephemeral")
        .data_sources.add_pandas("isles")
        .add_dataframe_asset("catch")
        .add_batch_definition_whole_dataframe("all")
        .get_batch({"dataframe": pd.DataFrame({"fish": [1, 101]})})
    )
    result = batch.validate(gx.expectations.ExpectColumnValuesToBeBetween(column="fish", max_value=100))
    suite = gx.ExpectationSuite(
        name="catch",
        expectations=[
            gx.expectations.ExpectColumnValuesToBeBetween(column="fish", max_value=100),
            gx.expectations.ExpectColumnToExist(column="boat"),
        ],
    )
    html = decks.quality(batch.validate(suite))
    assert not result.success
    assert "expect_column_values_to_be_between" in html and "expect_column_to_exist" in html and ">no<" in html


if __name__ == "__main__":
    globals()[sys.argv[1]]()
