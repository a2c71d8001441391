"""An approved model becomes a deployment: a directory with the model and a predictor that answers on its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import joblib
from causeway import OnArtifact
from flytekit import LaunchPlan, current_context, task, workflow
from flytekit.core.artifact import Artifact, Inputs
from flytekit.types.directory import FlyteDirectory
from sklearn.base import BaseEstimator

ApprovedMLModel = Artifact(name="approved-ml-model", partition_keys=["region"])
Deployment = Artifact(name="deployment", partition_keys=["region"])

PREDICTOR = '''"""Reads rows as JSON from standard input, writes the probability of "benign" for each."""

import json
import sys
from pathlib import Path

import joblib
import pandas as pd

model = joblib.load(Path(__file__).with_name("model.joblib"))
rows = pd.DataFrame(json.load(sys.stdin))
print(json.dumps(model.predict_proba(rows[list(model.feature_names_in_)])[:, 1].round(6).tolist()))
'''


@task
def build_predictor(region: str, model: BaseEstimator) -> FlyteDirectory:
    folder = Path(current_context().working_directory) / "predictor"
    folder.mkdir(parents=True)
    joblib.dump(model, folder / "model.joblib")
    (folder / "predict.py").write_text(PREDICTOR)
    (folder / "deployment.json").write_text(json.dumps({"region": region, "features": list(model.feature_names_in_)}))
    return FlyteDirectory(str(folder))


@task
def deploy(region: str, predictor: FlyteDirectory) -> Annotated[FlyteDirectory, Deployment(region=Inputs.region)]:
    """Publishes the predictor only if it answers."""
    folder = Path(predictor.download())
    features = json.loads((folder / "deployment.json").read_text())["features"]
    answer = subprocess.run(
        [sys.executable, str(folder / "predict.py")],
        input=json.dumps([dict.fromkeys(features, 1.0)]),
        capture_output=True,
        text=True,
        check=True,
    )
    (probability,) = json.loads(answer.stdout)
    if not 0 <= probability <= 1:
        raise ValueError(f"the predictor answered {probability}, which is no probability")
    return FlyteDirectory(str(folder))


@workflow
def deploy_model(region: str, model: BaseEstimator = ApprovedMLModel.query(region=Inputs.region)) -> FlyteDirectory:
    return deploy(region=region, predictor=build_predictor(region=region, model=model))


deploy_on_approval = LaunchPlan.get_or_create(
    name="deploy_on_approval",
    workflow=deploy_model,
    trigger=OnArtifact(
        trigger_on=ApprovedMLModel,
        inputs={"region": ApprovedMLModel.partitions.region, "model": ApprovedMLModel},
    ),
)
