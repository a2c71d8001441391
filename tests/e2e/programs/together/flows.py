"""Tasks of several processes, as the plug-ins' own pages write them: Spark, Dask, Ray and MPI, on one machine."""

import flytekit
from flytekit import task, workflow
from flytekitplugins.dask import Dask, WorkerGroup
from flytekitplugins.kfmpi import Launcher, MPIJob, Worker
from flytekitplugins.ray import HeadNodeConfig, RayJobConfig, WorkerNodeConfig
from flytekitplugins.spark import Spark

IMAGE = "ghcr.io/isles/together:v1"


def square(n: int) -> int:
    return n * n


@task(
    container_image=IMAGE,
    task_config=Spark(spark_conf={"spark.executor.instances": "2", "spark.driver.memory": "600m", "spark.isle": "Skye"}),
)
def with_spark(n: int) -> str:
    session = flytekit.current_context().spark_session
    total = session.sparkContext.parallelize(range(n), 4).map(square).sum()
    return f"{total} {session.conf.get('spark.isle')} {session.sparkContext.master}"


@task(container_image=IMAGE, task_config=Dask(workers=WorkerGroup(number_of_workers=2)))
def with_dask(n: int) -> str:
    from distributed import Client

    with Client() as client:
        client.wait_for_workers(2, timeout=60)
        total = sum(client.gather(client.map(square, range(n))))
        return f"{total} {len(client.nthreads())}"


@task(
    container_image=IMAGE,
    task_config=RayJobConfig(
        head_node_config=HeadNodeConfig(), worker_node_config=[WorkerNodeConfig(group_name="workers", replicas=2)]
    ),
)
def with_ray(n: int) -> str:
    import ray

    remote = ray.remote(square)
    total = sum(ray.get([remote.remote(number) for number in range(n)]))
    return f"{total} {ray.cluster_resources()['CPU']:.0f}"


@task(container_image=IMAGE, task_config=MPIJob(launcher=Launcher(replicas=1), worker=Worker(replicas=2), slots=1))
def with_mpi(n: int) -> str:
    from mpi4py import MPI

    ranks = MPI.COMM_WORLD
    total = ranks.allreduce(sum(square(number) for number in range(ranks.rank, n, ranks.size)))
    return f"{total} {ranks.rank} of {ranks.size}"


KEPT = {"CAUSEWAY_REUSE_CLUSTER": "120"}  # what causeway.reuse(minutes=2) gives


@task(
    container_image=IMAGE,
    environment=KEPT,
    task_config=Spark(spark_conf={"spark.executor.instances": "1", "spark.driver.memory": "600m"}),
)
def in_kept_spark(n: int) -> str:
    session = flytekit.current_context().spark_session
    total = session.sparkContext.parallelize(range(n), 2).map(square).sum()
    return f"{total} {session._jvm.java.lang.ProcessHandle.current().pid()}"


@task(container_image=IMAGE, environment=KEPT, task_config=Dask(workers=WorkerGroup(number_of_workers=1)))
def in_kept_dask(n: int) -> str:
    from distributed import Client

    with Client() as client:
        return f"{sum(client.gather(client.map(square, range(n))))} {client.scheduler.address}"


@task(
    container_image=IMAGE,
    environment=KEPT,
    task_config=RayJobConfig(worker_node_config=[WorkerNodeConfig(group_name="workers", replicas=1)]),
)
def in_kept_ray(n: int) -> str:
    import ray

    total = sum(ray.get([ray.remote(square).remote(number) for number in range(n)]))
    return f"{total} {ray.get_runtime_context().get_node_id()}"


@workflow
def kept_spark_wf(n: int = 10) -> str:
    return in_kept_spark(n=n)


@workflow
def kept_dask_wf(n: int = 10) -> str:
    return in_kept_dask(n=n)


@workflow
def kept_ray_wf(n: int = 10) -> str:
    return in_kept_ray(n=n)


@workflow
def spark_wf(n: int = 10) -> str:
    return with_spark(n=n)


@workflow
def dask_wf(n: int = 10) -> str:
    return with_dask(n=n)


@workflow
def ray_wf(n: int = 10) -> str:
    return with_ray(n=n)


@workflow
def mpi_wf(n: int = 10) -> str:
    return with_mpi(n=n)
