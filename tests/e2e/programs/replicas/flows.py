"""Trainings of several processes of torch, as its pages and those of flytekit's plug-in write them, and what they made."""

from typing import Annotated

import torch
import torch.distributed as dist
from flytekit import Artifact, task, workflow
from flytekitplugins.kfpytorch import Elastic, PyTorch, Worker

IMAGE = "ghcr.io/isles/replicas:v1"


def trained() -> torch.nn.Module:
    """Each process has rows of its own; what is learned is the same in all."""
    dist.init_process_group("gloo")
    torch.manual_seed(dist.get_rank())
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(3, 1))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (model(torch.randn(8, 3)) - 6).pow(2).mean().backward()
        optimizer.step()
    return model.module


def same_everywhere(model: torch.nn.Module) -> bool:
    others = [torch.empty_like(model.weight) for _ in range(dist.get_world_size())]
    dist.all_gather(others, model.weight.detach())
    return all(torch.equal(one, others[0]) for one in others)


@task(container_image=IMAGE, task_config=PyTorch(worker=Worker(replicas=1), increase_shared_mem=False))
def with_workers() -> str:
    model = trained()
    return f"{dist.get_world_size()} {dist.get_rank()} {same_everywhere(model)}"


@task(container_image=IMAGE, task_config=Elastic(nnodes=2, nproc_per_node=1, increase_shared_mem=False))
def elastic() -> tuple[str, Annotated[torch.nn.Module, Artifact(name="replicas-model")]]:
    model = trained()
    return f"{dist.get_world_size()} {dist.get_rank()} {same_everywhere(model)}", model


@task(container_image=IMAGE)
def told(model: torch.nn.Module) -> str:
    return f"{type(model).__name__} {tuple(model(torch.ones(2, 3)).shape)}"


@workflow
def workers_wf() -> str:
    return with_workers()


@workflow
def elastic_wf() -> tuple[str, str]:
    said, model = elastic()
    return said, told(model=model)
