"""A model that is served by KServe as the version that its alias leads to: the step is a task, set off by the alias."""

from __future__ import annotations

import json
import os

from causeway import Artifact, Client, OnAlias, kserve
from flytekit import LaunchPlan, task, workflow
from flytekit.types.file import FlyteFile

Irises = Artifact(name="irises")
WHERE = os.environ.get("ROLLOUT", "{}")  # at registration: the console, and the API of the cluster that serves


@task(retries=2)
def deploy(model: FlyteFile, where: str) -> str:
    """The version is asked for anew: of several that come together the newest is applied last."""
    told = json.loads(where)
    version = Client(told["console"]).get("irises:champion")
    manifest = kserve.inference_service(version, namespace=told["namespace"], account="readers")
    api = kserve.Api(told["api"], token=told["token"], verify=told["ca"])
    return str(kserve.apply(manifest, api=api)["metadata"]["annotations"]["causeway/version"])


@workflow
def rollout(model: FlyteFile, where: str) -> str:
    return deploy(model=model, where=where)


LaunchPlan.get_or_create(
    workflow=rollout,
    name="rollout-champion",
    trigger=OnAlias(Irises, "champion", inputs={"model": Irises, "where": WHERE}, max_concurrent=1),
)
