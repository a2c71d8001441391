"""What else is found in users' repositories."""

import functools
import os
import typing
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Annotated

import pandas as pd
from flytekit import (
    Cache,
    Deck,
    Email,
    HashMethod,
    LaunchPlan,
    PodTemplate,
    Resources,
    WorkflowFailurePolicy,
    approve,
    conditional,
    current_context,
    dynamic,
    map_task,
    task,
    workflow,
)
from flytekit.deck import MarkdownRenderer
from flytekit.exceptions.user import FlyteRecoverableException
from flytekit.models.core.execution import WorkflowExecutionPhase
from flytekit.types.directory import FlyteDirectory
from flytekit.types.error.error import FlyteError
from flytekit.types.file import FlyteFile
from flytekit.types.iterator.json_iterator import JSON

from isles.flows import double, inner, middle


def logged(function: typing.Callable) -> typing.Callable:
    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        print("before", function.__name__)
        return function(*args, **kwargs)

    return wrapped


@task
@logged
def decorated(x: int) -> int:
    return x + 1


@task
async def asynchronous(x: int) -> int:
    import asyncio

    await asyncio.sleep(0.01)
    return x * 3


@workflow
def decorated_wf(x: int = 1) -> int:
    return decorated(x=x)


@task
def literal(mode: typing.Literal["fast", "slow"], day: date) -> tuple[str, date]:
    return mode, day + timedelta(days=1)


@workflow
def literal_wf(mode: typing.Literal["fast", "slow"] = "slow", day: date = date(2026, 2, 28)) -> tuple[str, date]:
    return literal(mode=mode, day=day)


@dataclass
class Settings:
    rate: float = 0.1
    layers: list[int] = field(default_factory=lambda: [1, 2])
    mode: str = "fast"


@task
def read_settings(s: Settings) -> str:
    return f"{s.rate} {s.layers} {s.mode}"


@workflow
def settings_wf(s: Settings = Settings(rate=0.5)) -> str:
    return read_settings(s=s)


@task
def make_settings(rate: float) -> Settings:
    return Settings(rate=rate, layers=[7, 8])


@task
def tell(word: str) -> str:
    return word


@workflow
def branch_attribute_wf(rate: float = 0.7) -> str:
    s = make_settings(rate=rate)
    return conditional("rate").if_(s.rate > 0.5).then(tell(word=s.mode)).else_().then(tell(word="low"))


@workflow
def branch_two_outputs_wf(x: int = 3) -> tuple[int, int]:
    a, b = conditional("two").if_(x > 1).then(inner(x=x)).else_().then(inner(x=1))
    return b, a


@task
def optional_out(x: int) -> typing.Optional[Settings]:
    return Settings(mode="some") if x else None


@task
def optional_in(s: typing.Optional[Settings], fallback: typing.Union[int, str, None] = None) -> str:
    return f"{s.mode if s else None} {fallback}"


@workflow
def optional_chain_wf() -> tuple[str, str]:
    return optional_in(s=optional_out(x=0)), optional_in(s=optional_out(x=1), fallback=2)


@workflow
def map_plan_wf(xs: list[int] = [1, 2, 3]) -> list[int]:
    return map_task(LaunchPlan.get_or_create(middle, name="isles.mapped"))(x=xs)


@task(retries=2)
def flaky_item(x: int) -> int:
    if x == 2 and os.environ["FLYTE_ATTEMPT_NUMBER"] == "0":
        raise FlyteRecoverableException("second item, first try")
    return x


@workflow
def map_retry_wf(xs: list[int] = [1, 2, 3]) -> list[int]:
    return map_task(flaky_item)(x=xs)


@workflow
def map_wide_wf(n: int = 60) -> int:
    return add_up(xs=map_task(double, concurrency=8)(x=count(n=n)))


@task
def count(n: int) -> list[int]:
    return list(range(n))


@task
def add_up(xs: list[int]) -> int:
    return sum(xs)


@task
def scale(x: int, factors: list[int], s: Settings) -> float:
    return x * sum(factors) * s.rate


@workflow
def map_bound_wf(xs: list[int] = [1, 2], factors: list[int] = [2, 3]) -> list[float]:
    bound = functools.partial(scale, factors=factors, s=make_settings(rate=0.5))
    return map_task(bound)(x=xs)


@task
def make_file(x: int) -> FlyteFile:
    path = os.path.join(current_context().working_directory, f"{x}.txt")
    with open(path, "w") as handle:
        handle.write(f"file {x}")
    return FlyteFile(path)


@task
def join_files(files: list[FlyteFile]) -> str:
    return ",".join(open(file).read() for file in files)


@workflow
def map_files_wf(xs: list[int] = [1, 2]) -> tuple[str, list[FlyteFile]]:
    files = map_task(make_file)(x=xs)
    return join_files(files=files), files


@task
def stream_out() -> FlyteFile:
    file = FlyteFile.new_remote_file("streamed.txt")
    with file.open("w") as handle:
        handle.write("streamed")
    return file


@task
def stream_in(file: FlyteFile) -> str:
    with file.open("r") as handle:
        return handle.read()


@workflow
def stream_wf() -> str:
    return stream_in(file=stream_out())


@task
def tree() -> FlyteDirectory:
    directory = FlyteDirectory.new_remote("tree")
    with directory.new_file("a.txt").open("w") as handle:
        handle.write("a")
    return directory


@task
def walk(directory: FlyteDirectory) -> list[str]:
    return sorted(os.path.basename(str(item.path)) for item in FlyteDirectory.listdir(directory))


@workflow
def tree_wf() -> list[str]:
    return walk(directory=tree())


@task
def lines() -> typing.Iterator[JSON]:
    return iter([{"a": 1}, {"a": 2}])


@task
def read_lines(rows: typing.Iterator[JSON]) -> int:
    return sum(row["a"] for row in rows)


@workflow
def lines_wf() -> int:
    return read_lines(rows=lines())


def frame_hash(frame: pd.DataFrame) -> str:
    return str(pd.util.hash_pandas_object(frame).sum())


@task
def hashed(n: int) -> Annotated[pd.DataFrame, HashMethod(frame_hash)]:
    return pd.DataFrame({"a": range(n)})


@task(cache=True, cache_version="1")
def stamped(frame: pd.DataFrame) -> float:
    import time

    return time.time()


@workflow
def hash_wf(n: int = 3) -> tuple[float, float]:
    first = stamped(frame=hashed(n=n))
    again = hashed(n=n)
    first >> again
    return first, stamped(frame=again)


@task(cache=Cache(version="2", ignored_inputs=("y",)))
def new_cache(x: int, y: int) -> int:
    return x


@workflow
def new_cache_wf(x: int = 2) -> int:
    return new_cache(x=x, y=1)


@task(pod_template=PodTemplate(primary_container_name="main", labels={"a": "b"}))
def podded(x: int) -> int:
    return x + 100


@workflow
def pod_wf(x: int = 1) -> int:
    return podded(x=x)


@workflow(interruptible=True, failure_policy=WorkflowFailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
def interruptible_wf(x: int = 1) -> int:
    return double(x=x).with_overrides(
        interruptible=False,
        cache=True,
        cache_version="z",
        container_image="ghcr.io/a/b:c",
        limits=Resources(mem="300Mi"),
        task_config=None,
    )


@task
def cleanup(err: typing.Optional[FlyteError] = None) -> None:
    assert err is not None
    print("told:", err.failed_node_id, err.message)


@task
def fails(x: int) -> int:
    if x >= 0:
        raise RuntimeError("in the sub-workflow")
    return x


@workflow(on_failure=cleanup)
def failing_sub() -> int:
    return fails(x=1)


@workflow
def failing_sub_wf() -> int:
    return failing_sub()


@dynamic
def dyn_dataclass(n: int) -> tuple[list[Settings], dict[str, int]]:
    made = [make_settings(rate=float(i)) for i in range(n)]
    return made, {str(i): double(x=i) for i in range(n)}


@workflow
def dyn_dataclass_wf(n: int = 2) -> tuple[list[Settings], dict[str, int]]:
    return dyn_dataclass(n=n)


@dynamic
def dyn_sub(n: int) -> int:
    return n if n == 0 else add_up(xs=[middle(x=n), dyn_sub(n=n - 1)])


@workflow
def dyn_sub_wf(n: int = 2) -> int:
    return conditional("n").if_(n > 0).then(dyn_sub(n=n)).else_().then(double(x=n))


@workflow
def gated_sub(x: int) -> int:
    return approve(double(x=x), "inside", timeout=timedelta(hours=1))


@workflow
def gated_sub_wf(x: int = 2) -> int:
    return double(x=gated_sub(x=x))


@task(enable_deck=True)
def decks(x: int) -> int:
    Deck("markdown", MarkdownRenderer().to_html("# title ☃"))
    return x


@workflow
def decks_wf(x: int = 1) -> int:
    return decks(x=x)


@task
def sum_dict(d: dict[str, list[int]]) -> int:
    return sum(sum(values) for values in d.values())


@workflow
def mixed_bindings_wf(x: int = 2) -> int:
    a = double(x=x)
    return sum_dict(d={"one": [a, 1], "two": [x, a], "three": []})


@task
def unions(x: typing.Union[int, str, Settings]) -> str:
    return type(x).__name__


@workflow
def unions_wf() -> tuple[str, str, str]:
    return unions(x=1), unions(x="a"), unions(x=make_settings(rate=1.0))


@workflow
def same_output_wf(x: int = 2) -> tuple[int, int, list[int], dict[str, int]]:
    a = double(x=x)
    return a, a, [a, a], {"a": a}


@task
def prints_much() -> int:
    for number in range(2000):
        print(f"line {number}")
    return 2000


@workflow
def prints_much_wf() -> int:
    return prints_much()


described_lp = LaunchPlan.get_or_create(
    middle,
    name="isles.described",
    default_inputs={"x": 1},
    notifications=[Email(phases=[WorkflowExecutionPhase.FAILED], recipients_email=["a@example.org"])],
    max_parallelism=3,
    overwrite_cache=True,
)
