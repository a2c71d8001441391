"""A model that is deployed on SageMaker as its plug-in's documentation has it, once somebody has approved it."""

from datetime import timedelta
from typing import Dict, List

from flytekit import approve, kwtypes, task, workflow
from flytekitplugins.awssagemaker_inference import BotoConfig, BotoTask, create_sagemaker_deployment

REGION = "eu-west-1"

deployment = create_sagemaker_deployment(
    name="fish",
    model_input_types=kwtypes(model_path=str, execution_role_arn=str),
    model_config={
        "ModelName": "fish-{idempotence_token}",
        "PrimaryContainer": {"Image": "{images.primary_container_image}", "ModelDataUrl": "{inputs.model_path}"},
        "ExecutionRoleArn": "{inputs.execution_role_arn}",
    },
    endpoint_config_input_types=kwtypes(instance_type=str),
    endpoint_config_config={
        "EndpointConfigName": "fish-{idempotence_token}",
        "ProductionVariants": [
            {
                "VariantName": "v1",
                "ModelName": "fish-{inputs.idempotence_token}",
                "InitialInstanceCount": 1,
                "InstanceType": "{inputs.instance_type}",
            }
        ],
    },
    endpoint_config={"EndpointName": "fish", "EndpointConfigName": "fish-{inputs.idempotence_token}"},
    images={"primary_container_image": "763104351884.dkr.ecr.eu-west-1.amazonaws.com/sklearn:1"},
    region=REGION,
)

unknown = BotoTask(
    name="market.unknown",
    task_config=BotoConfig(
        service="sagemaker", method="describe_endpoint", config={"EndpointName": "no-such"}, region=REGION
    ),
)


@task
def train(path: str) -> str:
    return path


@workflow
def approved_wf(model_path: str, role: str) -> List[Dict]:
    good = approve(train(path=model_path), "fit for use", timeout=timedelta(hours=1))
    return deployment(model_path=good, execution_role_arn=role, instance_type="ml.m5.large")


@workflow
def unknown_wf():
    unknown()
