"""Ways to put nodes together."""

import os
import sys
import time
import typing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import flytekit
from flytekit.types.error.error import FlyteError
from flytekit import (
    Deck,
    FixedRate,
    LaunchPlan,
    CronSchedule,
    Resources,
    Secret,
    Workflow,
    approve,
    conditional,
    current_context,
    dynamic,
    map_task,
    sleep,
    task,
    wait_for_input,
    workflow,
)
from flytekit.core.node_creation import create_node
from flytekit.exceptions.user import FlyteRecoverableException


@task
def add(a: int, b: int) -> int:
    return a + b


@task
def double(x: int) -> int:
    return x * 2


@task
def square(x: int) -> int:
    return x * x


@task
def text(x: int) -> str:
    return str(x)


@task
def coin(x: int) -> bool:
    return x % 2 == 0


@task
def say(message: str) -> str:
    return message


# ---- sub-workflows
@workflow
def inner(x: int) -> tuple[int, int]:
    return double(x=x), square(x=x)


@workflow
def middle(x: int) -> int:
    a, b = inner(x=x)
    return add(a=a, b=b)


@workflow
def nested_wf(x: int = 3) -> tuple[int, int]:
    return middle(x=x), middle(x=double(x=x))


# ---- branches
@workflow
def branch_wf(x: int = 5) -> str:
    return (
        conditional("size")
        .if_((x > 0) & (x < 10))
        .then(say(message="small"))
        .elif_((x >= 10) | (x == -1))
        .then(say(message="big"))
        .else_()
        .fail("negative")
    )


@workflow
def branch_bool_wf(x: int = 5) -> int:
    even = coin(x=x)
    r = conditional("even").if_(even.is_true()).then(double(x=x)).else_().then(square(x=x))
    return add(a=r, b=1)


@workflow
def branch_bool_in_wf(flag: bool = False) -> int:
    return conditional("flag").if_(flag.is_false()).then(double(x=1)).else_().then(double(x=2))


@workflow
def branch_nested_wf(x: float = 0.5) -> int:
    return (
        conditional("outer")
        .if_((x > 0.1) & (x < 1.0))
        .then(
            conditional("inner")
            .if_(x < 0.5)
            .then(double(x=1))
            .elif_((x > 0.5) & (x < 0.7))
            .then(double(x=2))
            .else_()
            .then(double(x=3))
        )
        .elif_((x > 1.0) & (x < 10.0))
        .then(square(x=4))
        .else_()
        .then(square(x=5))
    )


@workflow
def branch_sub_wf(x: int = 4) -> int:
    return conditional("sub").if_(x == 4).then(middle(x=x)).else_().then(double(x=x))


@workflow
def branch_string_wf(s: str = "go") -> str:
    return conditional("s").if_(s == "go").then(say(message="went")).else_().then(say(message="stayed"))


@task
def maybe(x: int) -> typing.Optional[int]:
    return x if x else None


@workflow
def branch_none_wf(x: typing.Optional[int] = None) -> str:
    return conditional("n").if_(x.is_none()).then(say(message="none")).else_().then(say(message="some"))


@workflow
def branch_void_wf(x: int = 1) -> None:
    conditional("v").if_(x == 1).then(effect(x=x)).else_().then(effect(x=2))


@task
def effect(x: int) -> None:
    print(x)


@dynamic
def dyn_branch(x: int) -> str:
    even = coin(x=x)
    return conditional("dyn").if_(even.is_true()).then(say(message="even")).else_().then(say(message="odd"))


@workflow
def dyn_branch_wf(x: int = 3) -> str:
    return dyn_branch(x=x)


# ---- map
@workflow
def map_wf(xs: list[int] = [1, 2, 3]) -> list[int]:
    return map_task(double)(x=xs)


@workflow
def map_partial_wf(xs: list[int] = [1, 2, 3], b: int = 10) -> list[int]:
    return map_task(partial(add, b=b), concurrency=2)(a=xs)


@task
def fragile(x: int) -> typing.Optional[int]:
    if x == 2:
        raise ValueError("two is bad")
    return x


@workflow
def map_ratio_wf(xs: list[int] = [1, 2, 3, 4]) -> list[typing.Optional[int]]:
    return map_task(fragile, min_success_ratio=0.5)(x=xs)


@workflow
def map_fail_wf(xs: list[int] = [1, 2, 3, 4]) -> list[typing.Optional[int]]:
    return map_task(fragile)(x=xs)


@dataclass
class Point:
    x: int
    y: int


@task
def norm(p: Point, scale: float) -> float:
    return (p.x + p.y) * scale


@task
def points(n: int) -> list[Point]:
    return [Point(i, i) for i in range(n)]


@task
def add_all(xs: list[float]) -> float:
    return sum(xs)


@workflow
def map_points_wf(n: int = 4) -> tuple[list[float], float]:
    r = map_task(partial(norm, scale=0.5))(p=points(n=n))
    return r, add_all(xs=r)


@task
def pair(x: int) -> tuple[int, str]:
    return x, str(x)


@workflow
def map_empty_wf(xs: list[int] = []) -> list[int]:
    return map_task(double)(x=xs)


@task
def returns_none(x: int) -> None:
    print(x)


@workflow
def map_void_wf(xs: list[int] = [1, 2]) -> None:
    map_task(returns_none)(x=xs)


@workflow
def map_of_map_wf(xs: list[int] = [1, 2]) -> list[int]:
    return map_task(double)(x=map_task(square)(x=xs))


@workflow
def map_resources_wf(xs: list[int] = [1, 2]) -> list[int]:
    return map_task(double)(x=xs).with_overrides(requests=Resources(cpu="100m"))


@workflow
def map_two_lists_wf(a: list[int] = [1, 2], b: list[int] = [10, 20]) -> list[int]:
    return map_task(add)(a=a, b=b)


# ---- dynamic
@dynamic
def dyn(n: int) -> list[int]:
    return [double(x=i) for i in range(n)]


@workflow
def dyn_wf(n: int = 3) -> list[int]:
    return dyn(n=n)


@dynamic
def dyn_map(n: int) -> list[int]:
    return map_task(double)(x=list(range(n)))


@dynamic
def dyn_deep(n: int) -> int:
    xs = dyn_map(n=n)
    m = middle(x=n)
    c = LaunchPlan.get_or_create(inner)(x=n)
    return total(xs=xs, m=m, c=c[0])


@task
def total(xs: list[int], m: int, c: int) -> int:
    return sum(xs) + m + c


@workflow
def dyn_deep_wf(n: int = 3) -> int:
    return dyn_deep(n=n)


@dynamic
def fib(n: int) -> int:
    if n < 2:
        return n
    return add(a=fib(n=n - 1), b=fib(n=n - 2))


@workflow
def fib_wf(n: int = 4) -> int:
    return fib(n=n)


@dynamic
def dyn_nothing(n: int) -> None:
    for i in range(n):
        effect(x=i)


@workflow
def dyn_nothing_wf(n: int = 2) -> None:
    dyn_nothing(n=n)


@dynamic
def dyn_constant(n: int) -> int:
    return 7


@workflow
def dyn_constant_wf(n: int = 2) -> int:
    return dyn_constant(n=n)


@dynamic
def dyn_fail(n: int) -> int:
    if n >= 0:
        raise ValueError("while building")
    return n


@workflow
def dyn_fail_wf(n: int = 2) -> int:
    return dyn_fail(n=n)


# ---- order, failure, retries
@task
def touch(name: str) -> None:
    print(name)


@workflow
def chain_wf() -> int:
    a = create_node(touch, name="a")
    b = create_node(touch, name="b")
    c = create_node(double, x=2)
    a >> b
    b >> c
    return c.o0


@task
def clean_up(x: int, err: typing.Optional[FlyteError] = None) -> None:
    print("cleaning", x, err)


@task
def broken(x: int) -> int:
    if x >= 0:
        raise ValueError(f"broken by {x}")
    return x


@workflow(on_failure=clean_up)
def on_failure_wf(x: int = 1) -> int:
    return broken(x=x)


@workflow(failure_policy=flytekit.WorkflowFailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
def policy_wf(x: int = 1) -> tuple[int, int]:
    a = broken(x=x)
    b = double(x=double(x=double(x=x)))
    return a, b


@task(retries=2)
def flaky(x: int) -> int:
    attempt = int(os.environ["FLYTE_ATTEMPT_NUMBER"])
    if attempt < 2:
        raise FlyteRecoverableException(f"attempt {attempt}")
    return x + attempt


@workflow
def retry_wf(x: int = 1) -> int:
    return flaky(x=x)


@task(retries=1)
def always_flaky() -> int:
    if os.environ.get("HOME") != "nowhere":
        raise FlyteRecoverableException("never works")
    return 1


@workflow
def exhausted_wf() -> int:
    return always_flaky()


@task(retries=3)
def checkpointed(n: int) -> int:
    checkpoint = current_context().checkpoint
    previous = checkpoint.read()
    at = int(previous) if previous else 0
    checkpoint.write(f"{at + 1}".encode())
    if at < n:
        raise FlyteRecoverableException(f"at {at}")
    return at


@workflow
def checkpoint_wf(n: int = 2) -> int:
    return checkpointed(n=n)


@task(timeout=timedelta(seconds=2))
def slow() -> int:
    time.sleep(60)
    return 1


@workflow
def timeout_wf() -> int:
    return slow()


@task
def sleeper(seconds: int) -> int:
    time.sleep(seconds)
    return seconds


@workflow
def sleeper_wf(seconds: int = 300) -> int:
    return sleeper(seconds=seconds)


@task(environment={"GREETING": "ahoy ☃"})
def greet() -> str:
    return os.environ["GREETING"]


@workflow
def env_wf() -> str:
    return greet()


@task
def context() -> list[str]:
    c = current_context()
    return [c.execution_id.project, c.execution_id.domain, c.execution_id.name, c.task_id.name, c.task_id.version, str(c.execution_date.tzinfo)]


@workflow
def context_wf() -> list[str]:
    return context()


@task
def secretive() -> str:
    return current_context().secrets.get("vault", "key")


@task(secret_requests=[Secret(group="vault", key="key")])
def secretive2() -> str:
    return current_context().secrets.get("vault", "key")


@workflow
def secret_wf() -> str:
    return secretive()


@workflow
def secret2_wf() -> str:
    return secretive2()


@task(enable_deck=True)
def decked(x: int) -> int:
    Deck("mine", f"<p id='mine'>deck of {x}</p>")
    return x


@workflow
def deck_wf(x: int = 1) -> int:
    return decked(x=x)


@task(container_image="ghcr.io/acme/trainer:1.2", requests=Resources(cpu="100m", mem="100Mi"), limits=Resources(cpu="1", mem="500Mi"))
def imaged(x: int) -> int:
    return x


@workflow
def image_wf(x: int = 1) -> int:
    return imaged(x=x)


@task
def log_something() -> int:
    print("said on stdout ☃")
    current_context().logging.warning("said in the log")
    return 1


@workflow
def log_wf() -> int:
    return log_something()


# ---- gates
@workflow
def gates_wf(x: int = 1) -> tuple[int, str, int]:
    ready = approve(double(x=x), "ready", timeout=timedelta(hours=1))
    name = wait_for_input("name", timeout=timedelta(hours=1), expected_type=str)
    number = wait_for_input("number", timeout=timedelta(hours=1), expected_type=int)
    nap = sleep(timedelta(seconds=1))
    s = add(a=ready, b=number)
    nap >> s
    return s, say(message=name), ready


@workflow
def signals_wf() -> tuple[float, bool, list[int], str, dict[str, int]]:
    f = wait_for_input("f", timeout=timedelta(hours=1), expected_type=float)
    b = wait_for_input("b", timeout=timedelta(hours=1), expected_type=bool)
    xs = wait_for_input("xs", timeout=timedelta(hours=1), expected_type=list[int])
    m = wait_for_input("m", timeout=timedelta(hours=1), expected_type=dict[str, int])
    s = wait_for_input("s", timeout=timedelta(hours=1), expected_type=str)
    return f, b, xs, s, m


@workflow
def rejected_wf(x: int = 1) -> int:
    return approve(double(x=x), "ok", timeout=timedelta(hours=1))


@workflow
def gate_timeout_wf() -> int:
    return wait_for_input("late", timeout=timedelta(seconds=1), expected_type=int)


# ---- imperative
imperative = Workflow(name="isles.imperative")
imperative.add_workflow_input("x", int)
_n = imperative.add_entity(double, x=imperative.inputs["x"])
_m = imperative.add_entity(add, a=_n.outputs["o0"], b=5)
imperative.add_workflow_output("out", _m.outputs["o0"])

# ---- launch plans
fixed_lp = LaunchPlan.get_or_create(middle, name="isles.fixed", fixed_inputs={"x": 4})
default_lp = LaunchPlan.get_or_create(middle, name="isles.default", default_inputs={"x": 5})
cron_lp = LaunchPlan.get_or_create(
    nested_wf, name="isles.cron", schedule=CronSchedule(schedule="0 3 * * *"), default_inputs={"x": 5}
)
rate_lp = LaunchPlan.get_or_create(
    nested_wf, name="isles.rate", schedule=FixedRate(duration=timedelta(minutes=1)), default_inputs={"x": 6}
)


@workflow
def lp_node_wf(x: int = 2) -> tuple[int, int]:
    return default_lp(x=x), fixed_lp()


failing_lp = LaunchPlan.get_or_create(on_failure_wf, name="isles.failing")


@workflow
def lp_fail_wf(x: int = 2) -> int:
    return failing_lp(x=x)


@workflow
def overrides_wf(x: int = 2) -> int:
    return double(x=x).with_overrides(node_name="my-double", name="a double", requests=Resources(cpu="200m"), retries=1, timeout=timedelta(minutes=1))


# ---- caching
@task(cache=True, cache_version="1")
def cached(x: int) -> float:
    return time.time()


@workflow
def cache_wf(x: int = 2) -> float:
    return cached(x=x)


@task(cache=True, cache_version="1", cache_ignore_input_vars=("y",))
def cached_ignoring(x: int, y: int) -> float:
    return time.time()


@workflow
def cache_ignore_wf(x: int = 2, y: int = 1) -> float:
    return cached_ignoring(x=x, y=y)


@task(cache=True, cache_version="1", cache_serialize=True)
def serial(x: int) -> float:
    time.sleep(1)
    return time.time()


@workflow
def cache_serial_wf(x: int = 2) -> float:
    return serial(x=x)


# ---- recover
@task
def fails_unless(path: str, stamp: float) -> float:
    if not os.path.exists(path):
        raise ValueError("not there")
    return stamp


@task
def now() -> float:
    return time.time()


@workflow
def recover_wf(path: str) -> tuple[float, float]:
    stamp = now()
    return stamp, fails_unless(path=path, stamp=stamp)


# ---- error
@task
def helper_error(x: int) -> int:
    def helper() -> int:
        return {}["missing"]

    return helper()


@workflow
def error_wf(x: int = 1) -> int:
    return helper_error(x=x)


@task
def wrong_return(x: int) -> int:
    return "text"  # type: ignore


@workflow
def wrong_return_wf(x: int = 1) -> int:
    return wrong_return(x=x)


@task
def exits() -> int:
    os._exit(3)
    return 1


@workflow
def exit_wf() -> int:
    return exits()


@task
def killed() -> int:
    os.kill(os.getpid(), 9)
    return 1


@workflow
def killed_wf() -> int:
    return killed()


@task
def sysexit() -> int:
    sys.exit(2)
    return 1


@workflow
def sysexit_wf() -> int:
    return sysexit()
