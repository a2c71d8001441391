"""SageMaker's plug-in with its own connectors, against a server that speaks SageMaker (moto)."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from causeway.client import Client
from moto.sagemaker.responses import SageMakerResponse

from tests.e2e.environments import environment
from tests.e2e.flytekit_user import DOMAIN, PROJECT, FlytekitUser
from tests.e2e.test_connectors import until
from tests.scheduler.executors.connectors.conftest import Serving
from tests.stack import running_stack

pytestmark = pytest.mark.e2e

PINNED = Path(__file__).parent / "sagemaker.txt"
ROLE = "arn:aws:iam::123456789012:role/FakeRole"
KEYS = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment(PINNED, tmp_path_factory.mktemp("sagemaker") / "environment")


@pytest.fixture(scope="module")
def service(lab: Path, s3_endpoint: str) -> Iterator[Serving]:
    """`pyflyte serve connector` with the plug-in; moto's server of the tests speaks SageMaker too."""
    keys = {"AWS_ENDPOINT_URL": s3_endpoint, **KEYS}
    one = Serving(environment=keys, commands=lab, modules=())
    one.start()
    yield one
    one.kill()


@pytest.fixture(scope="module")
def user(lab: Path, service: Serving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlytekitUser]:
    folder = tmp_path_factory.mktemp("market")
    python = f"cr.flyte.org/flyteorg/flytekit={lab / 'python'}"
    connectors = f"aws={service.endpoint}"
    with running_stack(folder / "home", CAUSEWAY_CONNECTORS=connectors, CAUSEWAY_ENVIRONMENTS=python) as stack:
        user = FlytekitUser(stack, folder / "programs", commands=lab)
        assert "Successfully registered" in user.register("market", "v1")
        yield user


def sagemaker(endpoint: str) -> Any:
    return boto3.client(
        "sagemaker", endpoint_url=endpoint, region_name="eu-west-1", aws_access_key_id="k", aws_secret_access_key="s"
    )


def test_an_approved_model_is_deployed(user: FlytekitUser, s3_endpoint: str) -> None:
    flow = user.fetch("market.flows.approved_wf")
    run = user.remote.execute(flow, inputs={"model_path": "s3://models/fish.tar.gz", "role": ROLE})
    signal = until(lambda: user.remote.list_signals(run.id.name, PROJECT, DOMAIN))[0]
    assert not sagemaker(s3_endpoint).list_models()["Models"], "nothing is made before somebody approves"
    user.remote.set_signal(signal.id.signal_id, run.id.name, True)
    user.wait(run)
    assert run.error is None, run.error.message
    (endpoint,) = sagemaker(s3_endpoint).list_endpoints()["Endpoints"]
    assert endpoint["EndpointName"].startswith("fish-")
    outputs = run.outputs.get("o0", list[dict[str, Any]])
    assert len(outputs) == 3 and endpoint["EndpointArn"] in str(outputs)
    (model,) = sagemaker(s3_endpoint).list_models()["Models"]
    assert model["ModelName"].startswith("fish-") and len(model["ModelName"]) > len("fish-")


def test_what_aws_refuses_is_said_in_its_words(user: FlytekitUser) -> None:
    error = user.error(user.remote.execute(user.fetch("market.flows.unknown_wf"), inputs={}))
    assert error.code.endswith("ConnectorError") and "Could not find endpoint" in error.message, error


def test_a_training_jobs_model_is_a_version(user: FlytekitUser, s3_endpoint: str) -> None:
    run = user.remote.execute(
        user.fetch("market.training.fit_wf"), inputs={"job": "fish-1", "catches": "s3://catches/2026"}
    )
    user.wait(run)
    assert run.error is None, run.error.message
    job = sagemaker(s3_endpoint).describe_training_job(TrainingJobName="fish-1")
    assert job["HyperParameters"] == {"rounds": "10"}
    assert job["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"] == "s3://catches/2026"
    version = Client(user.stack.http_url, user.stack.admin_token, PROJECT, DOMAIN).get("fish-model")
    assert version.uri == job["ModelArtifacts"]["S3ModelArtifacts"] == "s3://models/fish-1/output/model.tar.gz"
    called = user.remote.execute(user.fetch("market.training.tokened_wf"), inputs={"catches": "s3://catches/2026"})
    user.wait(called)
    assert called.error is None, called.error.message
    names = {one["TrainingJobName"] for one in sagemaker(s3_endpoint).list_training_jobs()["TrainingJobSummaries"]}
    assert any(name.startswith("fish-") and len(name) == len("fish-") + 16 for name in names), names


def test_a_task_trains_in_sagemakers_container(
    user: FlytekitUser, lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`SageMakerTraining`: what the job is told to run is run here, as SageMaker would in the task's image."""
    create = SageMakerResponse.create_training_job

    def run_and_create(self: Any) -> Any:
        words = self._get_param("AlgorithmSpecification")["ContainerEntrypoint"]
        given = {**os.environ, **self._get_param("Environment"), "PATH": f"{lab}{os.pathsep}{os.environ['PATH']}"}
        subprocess.run([str(lab / words[0]), *words[1:]], cwd=tmp_path, env=given, timeout=120, check=False)
        return create(self)

    monkeypatch.setattr(SageMakerResponse, "create_training_job", run_and_create)
    flow = user.fetch("market.training.weigh_wf")
    run = user.remote.execute(flow, inputs={"catches": [1, 2, 6]})
    user.wait(run)
    assert run.error is None, run.error.message
    version = Client(user.stack.http_url, user.stack.admin_token, PROJECT, DOMAIN).get("fish-weights")
    assert json.loads(version.download(tmp_path / "got").read_text()) == {"mean": 3.0, "season": "winter"}
    error = user.error(user.remote.execute(flow, inputs={"catches": []}))
    assert "nothing was caught" in error.message


def test_keys_stay_with_the_service(user: FlytekitUser) -> None:
    """Nothing of what it reaches AWS with is in Causeway's processes."""
    assert "AWS_ENDPOINT_URL" not in os.environ and "AWS_ENDPOINT_URL" not in user.stack.env
