"""Writes what flytekit's plug-ins send, as JSON of the task's template: one file for each task in `../sent/`.

    python -m venv /tmp/plugins
    /tmp/plugins/bin/pip install flytekit==1.16.31 'kubernetes<37.0.2' torch flytekitplugins-{kfpytorch,kfmpi,kftensorflow,ray,spark,dask}==1.16.31
    /tmp/plugins/bin/python tests/scheduler/executors/kubernetes/jobs/programs/record.py

They are too large (Spark, Ray, torch) to be installed for tests; run it again when the plug-ins have a new version.
"""  # noqa: E501

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from flytekit import Resources, task
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.tools.translator import get_serializable
from flytekitplugins.dask import Dask, WorkerGroup
from flytekitplugins.kfmpi import HorovodJob, Launcher, MPIJob
from flytekitplugins.kfmpi import Worker as MpiWorker
from flytekitplugins.kfpytorch import CleanPodPolicy, Elastic, Master, PyTorch, RestartPolicy, RunPolicy, Worker
from flytekitplugins.kftensorflow import PS, Chief, TfJob
from flytekitplugins.kftensorflow import Worker as TfWorker
from flytekitplugins.ray import HeadNodeConfig, RayJobConfig, WorkerNodeConfig
from flytekitplugins.spark import Spark
from google.protobuf import json_format

SENT = Path(__file__).parents[1] / "sent"
GPU = Resources(cpu="2", mem="4Gi", gpu="1")
CONFIGS: dict[str, Any] = {
    "pytorch": PyTorch(worker=Worker(replicas=2)),
    "pytorch_gpus": PyTorch(
        master=Master(requests=Resources(cpu="1"), limits=Resources(cpu="1")),
        worker=Worker(replicas=3, requests=GPU, limits=GPU, restart_policy=RestartPolicy.FAILURE, image="team/gpu:1"),
        run_policy=RunPolicy(
            clean_pod_policy=CleanPodPolicy.ALL,
            active_deadline_seconds=600,
            backoff_limit=2,
            ttl_seconds_after_finished=30,
        ),
        increase_shared_mem=False,
    ),
    "elastic": Elastic(nnodes=2, nproc_per_node=2),
    "elastic_range": Elastic(nnodes="2:4", max_restarts=3),
    "elastic_one": Elastic(nnodes=1),
    "tensorflow": TfJob(chief=Chief(replicas=1), worker=TfWorker(replicas=2), ps=PS(replicas=0)),
    "mpi": MPIJob(launcher=Launcher(replicas=1), worker=MpiWorker(replicas=2, requests=GPU, limits=GPU), slots=2),
    "horovod": HorovodJob(launcher=Launcher(replicas=1), worker=MpiWorker(replicas=3), slots=2),
    "ray": RayJobConfig(worker_node_config=[WorkerNodeConfig(group_name="g", replicas=2)], runtime_env={"pip": ["x"]}),
    "ray_nodes": RayJobConfig(
        head_node_config=HeadNodeConfig(
            ray_start_params={"num-cpus": "0"}, requests=Resources(cpu="1"), limits=Resources(cpu="2")
        ),
        worker_node_config=[
            WorkerNodeConfig(group_name="big", replicas=2, min_replicas=1, max_replicas=5, requests=GPU, limits=GPU)
        ],
        enable_autoscaling=True,
        shutdown_after_job_finishes=True,
        ttl_seconds_after_finished=120,
    ),
    "spark": Spark(
        spark_conf={"spark.executor.instances": "2", "spark.executor.memory": "2g", "spark.executor.cores": "2"}
    ),
    "dask": Dask(workers=WorkerGroup(number_of_workers=3, requests=Resources(cpu="1"), limits=Resources(cpu="1"))),
}


def work(x: int) -> int:
    return x


def main(names: list[str]) -> None:
    settings = SerializationSettings(
        project="p", domain="d", version="v", image_config=ImageConfig(Image("default", "team/job", "1"))
    )
    SENT.mkdir(exist_ok=True)
    for name in names or CONFIGS:
        work.__name__ = name
        made = task(task_config=CONFIGS[name], requests=Resources(cpu="500m", mem="1Gi"))(work)
        template = get_serializable({}, settings, made).template.to_flyte_idl()
        text = json_format.MessageToJson(template, indent=1, sort_keys=True)
        (SENT / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
