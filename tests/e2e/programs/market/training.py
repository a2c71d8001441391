"""Models that SageMaker trains, as its plug-in has it: of an algorithm's image, and of a task's own code."""

import json
from typing import Annotated

from flytekit import Artifact, kwtypes, task, workflow
from flytekit.types.file import FlyteFile
from flytekitplugins.awssagemaker_training import SageMakerTraining, SageMakerTrainingJobTask

REGION = "eu-west-1"
ROLE = "arn:aws:iam::123456789012:role/FakeRole"
FishModel = Artifact(name="fish-model")
Weights = Artifact(name="fish-weights")


def fitting(name: str, job: str) -> SageMakerTrainingJobTask:
    return SageMakerTrainingJobTask(
        name=name,
        config={
            "TrainingJobName": job,
            "AlgorithmSpecification": {"TrainingImage": "{images.algorithm}", "TrainingInputMode": "File"},
            "RoleArn": ROLE,
            "InputDataConfig": [
                {
                    "ChannelName": "train",
                    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "{inputs.catches}"}},
                }
            ],
            "OutputDataConfig": {"S3OutputPath": "s3://models"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            "HyperParameters": {"rounds": "{inputs.rounds}"},
        },
        region=REGION,
        images={"algorithm": "763104351884.dkr.ecr.eu-west-1.amazonaws.com/xgboost:1"},
        inputs=kwtypes(job=str, catches=str, rounds=str),
    )


fit = fitting("market.fit", "{inputs.job}")
tokened = fitting("market.tokened", "fish-{idempotence_token}")


@task
def keep(result: dict) -> Annotated[FlyteFile, FishModel]:
    return FlyteFile(result["ModelArtifacts"]["S3ModelArtifacts"])


@workflow
def fit_wf(job: str, catches: str, rounds: str = "10") -> FlyteFile:
    return keep(result=fit(job=job, catches=catches, rounds=rounds))


@workflow
def tokened_wf(catches: str) -> dict:
    return tokened(job="", catches=catches, rounds="10")


@task(
    task_config=SageMakerTraining(execution_role_arn=ROLE, region=REGION, environment={"SEASON": "winter"}),
    container_image="cr.flyte.org/flyteorg/flytekit:py3.11-1.16.31",
)
def weigh(catches: list[int]) -> Annotated[FlyteFile, Weights]:
    import os

    if not catches:
        raise ValueError("nothing was caught")
    with open("weights.json", "w") as file:
        json.dump({"mean": sum(catches) / len(catches), "season": os.environ["SEASON"]}, file)
    return FlyteFile("weights.json")


@workflow
def weigh_wf(catches: list[int]) -> FlyteFile:
    return weigh(catches=catches)
