"""Programs as users write them, for pods."""

from __future__ import annotations

import os
import time
from typing import NamedTuple  # noqa: UP035 - as users write

from flytekit import ContainerTask, Resources, Secret, current_context, dynamic, kwtypes, map_task, task, workflow
from flytekit.types.file import FlyteFile

Sums = NamedTuple("Sums", [("total", int), ("text", str)])  # noqa: UP014


@task
def add_one(n: int) -> int:
    return n + 1


@task(requests=Resources(cpu="100m", mem="300Mi", gpu="1"))
def on_gpu(n: int) -> str:
    return f"{n} on {os.environ.get('NVIDIA_VISIBLE_DEVICES', 'none')[:3]}"


@workflow
def chain(n: int) -> str:
    return on_gpu(n=add_one(n=n))


@workflow
def mapped() -> list[int]:
    return map_task(add_one)(n=[1, 2, 3])


@dynamic
def squares(n: int) -> list[int]:
    return [add_one(n=i) for i in range(n)]


@workflow
def grown(n: int) -> list[int]:
    return squares(n=n)


adding = ContainerTask(
    name="adding",
    image="localhost/task:1",
    input_data_dir="/var/inputs",
    output_data_dir="/var/outputs",
    inputs=kwtypes(a=int, b=int),
    outputs=kwtypes(total=int, text=str),
    command=[
        "sh",
        "-c",
        "echo $(( $(cat /var/inputs/a) + $(cat /var/inputs/b) )) > /var/outputs/total; printf hi > /var/outputs/text",
    ],
)

failing_raw = ContainerTask(
    name="failing_raw",
    image="localhost/task:1",
    input_data_dir="/var/inputs",
    output_data_dir="/var/outputs",
    inputs=kwtypes(a=int),
    outputs=kwtypes(total=int),
    command=["sh", "-c", "echo 3 > /var/outputs/total; echo sorry; exit 3"],
)


@workflow
def raw(a: int, b: int) -> Sums:
    return Sums(*adding(a=a, b=b))


@workflow
def raw_that_fails(a: int) -> int:
    return failing_raw(a=a)


@task(secret_requests=[Secret(group="harbour", key="token")])
def length_of_secret() -> int:
    return len(current_context().secrets.get("harbour", "token"))


@workflow
def secret() -> int:
    return length_of_secret()


@task
def write() -> FlyteFile:
    with open("words.txt", "w") as file:
        file.write("from a pod")
    return FlyteFile("words.txt")


@task
def read(file: FlyteFile) -> str:
    with open(file) as found:
        return found.read()


@workflow
def handed_on() -> str:
    return read(file=write())


@task(retries=2)
def second_time_lucky() -> int:
    if os.environ["FLYTE_ATTEMPT_NUMBER"] == "0":
        os._exit(5)
    return 7


@workflow
def flaky() -> int:
    return second_time_lucky()


@task(environment={"CAUSEWAY_REUSE": "0"})  # pods that stay have tests of their own
def slow(n: int) -> int:
    time.sleep(10)
    return n


@workflow
def patient(n: int) -> int:
    return add_one(n=slow(n=n))


@workflow
def wide() -> list[int]:
    return map_task(slow)(n=list(range(8)))


@task
def broken(n: int) -> int:
    if n:
        raise ValueError(f"no {n}")
    return n


@workflow
def failing(n: int) -> int:
    return broken(n=n)
