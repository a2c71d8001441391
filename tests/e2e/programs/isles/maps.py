"""Maps in the ways that flytekit lets them be written."""

from __future__ import annotations

import functools
import os
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

import pandas as pd
from flytekit import LaunchPlan, Resources, conditional, dynamic, map_task, task, workflow
from flytekit.exceptions.user import FlyteRecoverableException
from flytekit.extras.tasks.shell import OutputLocation, ShellTask
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Basket:
    sizes: list[int]
    by_name: dict[str, list[int]]


@task
def double(x: int) -> int:
    return 2 * x


@task
def add(a: int, b: int) -> int:
    return a + b


@task
def total(xs: list[int]) -> int:
    return sum(xs)


@task
def shaky(x: int) -> int:
    if x == 2 and os.environ["FLYTE_ATTEMPT_NUMBER"] == "0":
        raise FlyteRecoverableException("not at once")
    return x


@workflow
def maps_overridden_wf(xs: list[int] = [1, 2, 3]) -> list[int]:
    limits = Resources(cpu="200m", mem="1Gi")
    return map_task(shaky)(x=xs).with_overrides(
        name="renamed", retries=1, interruptible=True, timeout=timedelta(minutes=2), limits=limits
    )


@task
def slow(x: int) -> int:
    time.sleep(60 * x)
    return x


@workflow
def maps_timeout_wf(xs: list[int] = [0, 1]) -> list[int]:
    return map_task(slow)(x=xs).with_overrides(timeout=timedelta(seconds=2))


@workflow
def inner(n: int, by: int = 1) -> int:
    return total(xs=map_task(functools.partial(add, b=by))(a=upto(n=n)))


@task
def upto(n: int) -> list[int]:
    return list(range(n))


@workflow
def maps_nested_wf(ns: list[int] = [1, 2, 3], bys: list[int] = [1, 1, 5]) -> list[int]:
    return map_task(LaunchPlan.get_or_create(inner, name="isles.maps.inner_plan"))(n=ns, by=bys)


@workflow
def maps_fixed_wf(ns: list[int] = [1, 2, 3]) -> list[int]:
    return map_task(LaunchPlan.get_or_create(inner, name="isles.maps.fixed", fixed_inputs={"by": 10}))(n=ns)


@task
def positive(x: int) -> int:
    if x < 0:
        raise ValueError(f"{x} is below zero")
    return x


@workflow
def positive_flow(x: int) -> int:
    return positive(x=x)


@workflow
def maps_some_plans_wf(xs: list[int] = [1, -2, 3]) -> list[int | None]:
    return map_task(LaunchPlan.get_or_create(positive_flow, name="isles.maps.positive"), min_success_ratio=0.5)(x=xs)


@workflow
def maps_all_plans_wf(xs: list[int] = [1, -2, 3]) -> list[int]:
    return map_task(LaunchPlan.get_or_create(positive_flow, name="isles.maps.positive"))(x=xs)


@task
def count_missing(xs: list[int | None]) -> int:
    return sum(x is None for x in xs)


@workflow
def maps_missing_wf(xs: list[int] = [1, -2, -3, 4]) -> int:
    return count_missing(xs=map_task(positive, min_success_ratio=0.5)(x=xs))


@workflow
def maps_empty_plans_wf(ns: list[int] = []) -> list[int]:
    return map_task(LaunchPlan.get_or_create(inner, name="isles.maps.inner_plan"))(n=ns, by=ns)


@workflow
def maps_empty_partial_wf(xs: list[int] = [], b: int = 3) -> tuple[list[int], int]:
    sums = map_task(functools.partial(add, b=b))(a=xs)
    return sums, total(xs=sums)


@task
def write(name: str) -> FlyteFile:
    path = os.path.join(os.getcwd(), f"{name}-{time.monotonic_ns()}")
    with open(path, "w") as handle:
        handle.write(name)
    return FlyteFile(path)


@task
def collect(names: list[str]) -> FlyteDirectory:
    folder = os.path.join(os.getcwd(), f"d{time.monotonic_ns()}")
    os.mkdir(folder)
    for name in names:
        with open(os.path.join(folder, name), "w") as handle:
            handle.write(name)
    return FlyteDirectory(folder)


@task
def look(file: FlyteFile, folder: FlyteDirectory, prefix: str | None, extra: dict[str, int]) -> str:
    with open(file) as handle:
        text = handle.read()
    return f"{prefix or ''}{text}{'in' if text in os.listdir(folder) else 'out'}{extra['n']}"


@workflow
def maps_files_wf(names: list[str] = ["a", "b"], prefix: str | None = None) -> list[str]:
    bound = functools.partial(look, folder=collect(names=["a"]), prefix=prefix, extra={"n": 7})
    return map_task(bound)(file=map_task(write)(name=names))


@task
def frame(n: int) -> pd.DataFrame:
    return pd.DataFrame({"v": list(range(n))})


@task
def rows(df: pd.DataFrame) -> int:
    return len(df)


@workflow
def maps_frames_wf(ns: list[int] = [1, 3]) -> list[int]:
    return map_task(rows)(df=map_task(frame)(n=ns))


@task
def tell(colour: Colour, at: datetime, basket: Basket, maybe: int | None) -> str:
    return f"{colour.value} {at.year} {sum(basket.sizes)} {maybe}"


@task
def colours() -> list[Colour]:
    return [Colour.RED, Colour.BLUE]


@task
def baskets(n: int) -> list[Basket]:
    return [Basket([i, i], {"one": [i]}) for i in range(n)]


@task
def years() -> list[datetime]:
    return [datetime(2026, 1, 1), datetime(2027, 1, 1)]


@task
def maybes() -> list[int | None]:
    return [None, 4]


@workflow
def maps_typed_wf() -> list[str]:
    return map_task(tell)(colour=colours(), at=years(), basket=baskets(n=2), maybe=maybes())


@task
def basket(n: int) -> Basket:
    return Basket(list(range(n)), {"one": [n, n]})


@workflow
def maps_paths_wf(n: int = 3) -> tuple[list[int], list[int], list[int], int]:
    whole = basket(n=n)
    doubled = map_task(double)(x=whole.sizes)
    of_promises = map_task(double)(x=[double(x=n), double(x=1)])
    return doubled, map_task(double)(x=whole.by_name["one"]), of_promises, doubled[2]


@dynamic
def spread(n: int, by: int) -> int:
    sums = map_task(functools.partial(add, b=double(x=by)), concurrency=2)(a=upto(n=n))
    return total(xs=sums)


@workflow
def maps_dynamic_wf(n: int = 4, by: int = 2) -> int:
    return spread(n=n, by=by)


@workflow
def mapping(xs: list[int]) -> list[int]:
    return map_task(double)(x=xs)


@workflow
def maps_branch_wf(xs: list[int] = [1, 2], big: bool = True) -> list[int]:
    return conditional("size").if_(big.is_true()).then(mapping(xs=xs)).else_().then(none_of(xs=xs))


@task
def none_of(xs: list[int]) -> list[int]:
    return []


@workflow
def maps_chained_wf(xs: list[int] = [1, 2]) -> list[int]:
    first = map_task(double)(x=xs)
    second = map_task(functools.partial(add, b=1))(a=xs)
    first >> second
    return second


say = ShellTask(
    name="isles.maps.say",
    script="echo -n {inputs.word}! > {outputs.said}",
    inputs={"word": str},
    output_locs=[OutputLocation(var="said", var_type=FlyteFile, location="{ctx.working_directory}/said.txt")],
)


@task
def read_all(files: list[FlyteFile]) -> str:
    return " ".join(open(file).read() for file in files)


@workflow
def maps_shell_wf(words: list[str] = ["hi", "ho"]) -> str:
    return read_all(files=map_task(say)(word=words))
