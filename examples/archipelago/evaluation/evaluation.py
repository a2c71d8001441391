"""Every new model is examined: plots on a deck, then a person decides within 24 hours."""

import base64
import io
from datetime import timedelta
from typing import Annotated

import matplotlib
import pandas as pd
from causeway import OnArtifact
from flytekit import Deck, LaunchPlan, approve, task, workflow
from flytekit.core.artifact import Artifact, Inputs
from sklearn.base import BaseEstimator
from sklearn.metrics import ConfusionMatrixDisplay, RocCurveDisplay, roc_auc_score

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

MLDataset = Artifact(name="ml-dataset", partition_keys=["region"])
MLModel = Artifact(name="ml-model", partition_keys=["region"])
ApprovedMLModel = Artifact(name="approved-ml-model", partition_keys=["region"])


def image(figure: "plt.Figure") -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    plt.close(figure)
    return f'<img alt="plot" src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'


@task(enable_deck=True, deck_fields=())  # the plots first, not the source code
def examine(region: str, model: BaseEstimator, dataset: pd.DataFrame) -> float:
    """Draws the ROC curve and the confusion matrix on the deck; returns the ROC AUC."""
    features, target = dataset.drop(columns="target"), dataset["target"]
    auc = float(roc_auc_score(target, model.predict_proba(features)[:, 1]))
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    RocCurveDisplay.from_estimator(model, features, target, ax=left)
    ConfusionMatrixDisplay.from_estimator(model, features, target, ax=right, display_labels=["malignant", "benign"])
    left.set_title(f"ROC, {region}")
    right.set_title(f"Confusion, {len(features)} rows")
    deck = Deck("Evaluation")
    deck.append(f"<h1>Evaluation of the {region} model</h1><p>ROC AUC on the region's dataset: <b>{auc:.4f}</b></p>")
    deck.append(image(figure))
    return auc


@workflow
def evaluate_model(
    region: str,
    model: BaseEstimator = MLModel.query(region=Inputs.region),
    dataset: pd.DataFrame = MLDataset.query(region=Inputs.region),
) -> Annotated[BaseEstimator, ApprovedMLModel(region=Inputs.region)]:
    auc = examine(region=region, model=model, dataset=dataset)
    approve(auc, "approve_model", timeout=timedelta(hours=24))
    return model


model_evaluation_and_approval = LaunchPlan.get_or_create(
    name="model_evaluation_and_approval",
    workflow=evaluate_model,
    trigger=OnArtifact(
        trigger_on=MLModel,
        inputs={
            "region": MLModel.partitions.region,
            "model": MLModel,
            "dataset": MLDataset.query(region=MLModel.partitions.region),
        },
    ),
)
