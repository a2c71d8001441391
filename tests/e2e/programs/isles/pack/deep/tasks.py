from flytekit import task

from ..consts import FACTOR


@task
def times(x: int) -> int:
    return x * FACTOR
