from flytekit import workflow

from .deep.tasks import times


@workflow
def relative_wf(x: int = 6) -> int:
    return times(x=x)


if __name__ == "__main__":
    raise SystemExit("not imported as a script")
