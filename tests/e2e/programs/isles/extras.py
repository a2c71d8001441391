"""References, eager workflows, raw containers, shells."""

import typing

from flytekit import ContainerTask, eager, kwtypes, map_task, task, workflow

from flytekit.extras.tasks.shell import OutputLocation, ShellTask
from flytekit.types.file import FlyteFile

from isles.flows import middle


@task
def one(x: int) -> int:
    return x + 1


@task
def two(x: int) -> int:
    return x * 2


@eager
async def eager_wf(x: int = 3) -> int:
    a = one(x=x)
    b = two(x=a)
    return b


@eager
async def eager_sub_wf(x: int = 3) -> int:
    out = middle(x=x)
    r = two(x=out)
    return r


@eager
async def eager_map_wf(xs: typing.List[int] = [1, 2]) -> typing.List[int]:
    return map_task(one)(x=xs)


shell = ShellTask(
    name="isles.shell",
    script="""
    echo "hello {inputs.x}" > {outputs.o}
    """,
    inputs=kwtypes(x=str),
    output_locs=[OutputLocation(var="o", var_type=FlyteFile, location="isles-{inputs.x}.txt")],
)


@task
def read(f: FlyteFile) -> str:
    with open(f) as handle:
        return handle.read().strip()


@workflow
def shell_wf(x: str = "sea") -> str:
    return read(f=shell(x=x))


raw = ContainerTask(
    name="isles.raw",
    input_data_dir="/var/inputs",
    output_data_dir="/var/outputs",
    inputs=kwtypes(a=int, b=int),
    outputs=kwtypes(total=int),
    image="alpine",
    command=["/bin/sh", "-c", "expr {{.inputs.a}} + {{.inputs.b}} > /var/outputs/total"],
)


@workflow
def raw_wf(a: int = 2, b: int = 3) -> int:
    return one(x=raw(a=a, b=b))
