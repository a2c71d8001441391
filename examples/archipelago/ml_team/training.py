"""The ML team trains when a dataset version lands. It knows the name `ml-dataset`, not who makes it."""

from typing import Annotated

import pandas as pd
from causeway import ModelCard, OnArtifact
from flytekit import LaunchPlan, task, workflow
from flytekit.core.artifact import Artifact, Inputs
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

MLDataset = Artifact(name="ml-dataset", partition_keys=["region"])
MLModel = Artifact(name="ml-model", partition_keys=["region"])


@task
def train_model(region: str, dataset: pd.DataFrame) -> Annotated[BaseEstimator, MLModel(region=Inputs.region)]:
    features, target = dataset.drop(columns="target"), dataset["target"]
    x_train, x_test, y_train, y_test = train_test_split(
        features, target, test_size=0.25, random_state=7, stratify=target
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x_train, y_train)
    predicted, probability = model.predict(x_test), model.predict_proba(x_test)[:, 1]
    card = f"""# Tumour classifier, {region}

Logistic regression on standardised measurements.

| Metric (held-out quarter) | Value |
|---|---|
| Accuracy | {accuracy_score(y_test, predicted):.4f} |
| F1 | {f1_score(y_test, predicted):.4f} |
| ROC AUC | {roc_auc_score(y_test, probability):.4f} |

Trained on {len(x_train)} rows, tested on {len(x_test)}; {features.shape[1]} features.
"""
    return MLModel.create_from(model, ModelCard(card))


@workflow
def training_workflow(region: str, dataset: pd.DataFrame = MLDataset.query(region=Inputs.region)) -> BaseEstimator:
    return train_model(region=region, dataset=dataset)


train_on_new_data = LaunchPlan.get_or_create(
    name="train_on_new_data",
    workflow=training_workflow,
    trigger=OnArtifact(
        trigger_on=MLDataset,
        inputs={"region": MLDataset.partitions.region, "dataset": MLDataset},
    ),
)
