# ruff: noqa
import threading
import time

from flytekit import task

threading.Thread(target=time.sleep, args=(300,), daemon=True).start()


@task
def one() -> int:
    return 1
