from flytekit import task, workflow

from duo.helper import ANSWER


@task
def answer(wait: float = 0.0) -> int:
    import time

    time.sleep(wait)
    return ANSWER


@workflow
def answer_wf(wait: float = 0.0) -> int:
    return answer(wait=wait)


if __name__ == "__main__":
    print(answer_wf())
