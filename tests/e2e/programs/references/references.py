"""Entities of another version, known by name only; registered apart from them."""

from flytekit import reference_launch_plan, reference_task, workflow


@reference_task(project="flytesnacks", domain="development", name="isles.flows.double", version="v1")
def double(x: int) -> int:
    return 0


@reference_launch_plan(project="flytesnacks", domain="development", name="isles.default", version="v1")
def planned(x: int) -> int:
    return 0


@workflow
def reference_wf(x: int = 2) -> tuple[int, int]:
    return double(x=x), planned(x=x)
