"""SparkApplications of the real Spark operator, without its webhook, and a real Spark: only where somebody has it.

pip install --target /tmp/spark pyspark==4.3.0 flytekitplugins-spark      # with Python 3.11, as the image of tasks has
CLUSTER_SPARK=/tmp/spark script/test tests/cluster/test_jobs_of_spark.py  # and Java: Debian's openjdk-17-jre-headless
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.attempts.observations import Replica, Replicas
from scheduler.attempts.spec import Job, Pod
from scheduler.executors.base import Assignment
from scheduler.executors.kubernetes.cluster import Graces
from scheduler.phases import AttemptPhase
from tests.cluster.attempts import SYSTEM, USER, Attempts
from tests.cluster.packages import with_image, with_operator
from tests.cluster.running import Cluster, Namespace

SMALL = {
    "spark.executor.instances": "2",
    **{f"spark.{role}.memory": "512m" for role in ("driver", "executor")},
    **{f"spark.kubernetes.{role}.request.cores": "50m" for role in ("driver", "executor")},
}
IMAGE = "localhost/task-spark:1"
SESSION = (
    "from pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\ncontext = spark.sparkContext\n"
)


@pytest.fixture(scope="module")
def packages(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The folder with Spark, and one with a program that runs what it is told."""
    with with_operator(cluster, "spark", "pyspark") as found:
        with_image("--spark")
        programs = tmp_path_factory.mktemp("spark")
        (programs / "run.py").write_text("import sys\n\nexec(compile(sys.argv[-1], 'program', 'exec'))\n")
        yield found, str(programs)


@pytest.fixture
def attempts(packages: tuple[str, str], namespace: Namespace, tmp_path: Path) -> Iterator[Attempts]:
    account = f"--serviceaccount={namespace.name}:default"
    namespace.kubectl("create", "rolebinding", "drivers", "--clusterrole=edit", account)
    made = Attempts(namespace, tmp_path)
    yield made
    namespace.kubectl("delete", "sparkapplications", "--all", "--wait=false")
    made.close()


def submit(attempts: Attempts, packages: tuple[str, str], code: str, **over: Any) -> Assignment:
    mounts = [
        {"name": f"v{number}", "mountPath": path} for number, path in enumerate(("/opt/packages", "/opt/programs"))
    ]
    volumes = [{"name": f"v{number}", "hostPath": {"path": path}} for number, path in enumerate(packages)]
    pod = Pod(spec={"containers": [{"name": "primary", "volumeMounts": mounts}], "volumes": volumes}, primary="primary")
    custom = {
        "mainApplicationFile": "local:///opt/programs/run.py",
        "executorPath": "python3",
        "sparkConf": {**SMALL, **over.pop("conf", {})},
        **over.pop("custom", {}),
    }
    given: dict[str, Any] = {
        "pod": pod,
        "image": IMAGE,
        "job": Job(custom),
        "task_type": "spark",
        "argv": ("run", code),
    }
    return attempts.submit("", **{**given, **over})


def told(attempts: Attempts, given: Assignment) -> dict[str, Replica]:
    return {one.name: one for one in attempts.of(Replicas, given)[-1].replicas}


def nothing_left(attempts: Attempts) -> None:
    attempts.until(lambda: not attempts.namespace.get("sparkapplications,pods,services")["items"])


def test_a_program_runs_on_executors_and_prints_into_the_attempts_log(
    attempts: Attempts, packages: tuple[str, str]
) -> None:
    code = SESSION + "print('sum', context.parallelize(range(100), 4).sum())\n"
    given = submit(attempts, packages, code, with_outputs=True)
    assert attempts.outcome(given, 240).phase == AttemptPhase.SUCCEEDED
    nothing_left(attempts)
    found = told(attempts, given)
    assert set(found) == {"driver-0", "executor-1", "executor-2"}
    assert "sum 4950" in attempts.store.get(given.log_uri).decode()
    assert attempts.store.get(found["driver-0"].log_uri) == attempts.store.get(given.log_uri)
    assert "CoarseGrainedExecutorBackend" in attempts.store.get(found["executor-1"].log_uri).decode()


def test_a_program_that_fails_ends_with_its_drivers_code_and_last_lines(
    attempts: Attempts, packages: tuple[str, str]
) -> None:
    error = attempts.error(submit(attempts, packages, SESSION + "print('no good')\nsys.exit(3)\n"), 240)
    assert (error.code, error.kind) == ("NonZeroExit", USER)
    assert error.message.startswith("driver-0: the task's process ended with exit code 3")
    assert "no good" in error.message
    nothing_left(attempts)


def test_a_cancelled_one_leaves_nothing_though_nobody_owns_its_driver(
    attempts: Attempts, packages: tuple[str, str]
) -> None:
    given = submit(attempts, packages, SESSION + "import time\ntime.sleep(600)\n")
    attempts.until(lambda: len(attempts.namespace.get("pods", selector="spark-role=executor")["items"]) == 2, 240)
    attempts.executor.cancel(given.attempt_id)
    assert attempts.outcome(given, 240).phase == AttemptPhase.ABORTED
    nothing_left(attempts)


def test_one_that_is_cancelled_while_it_is_submitted_leaves_nothing_either(
    attempts: Attempts, packages: tuple[str, str]
) -> None:
    """Spark's submission goes on without its object, and makes a driver that is nobody's."""
    given = submit(attempts, packages, "import time\ntime.sleep(600)\n")
    attempts.until(lambda: attempts.namespace.get("sparkapplications")["items"])
    time.sleep(1)
    attempts.executor.cancel(given.attempt_id)
    assert attempts.outcome(given, 240).phase == AttemptPhase.ABORTED
    time.sleep(40)
    nothing_left(attempts)


def test_an_executor_that_dies_is_made_up_for(attempts: Attempts, packages: tuple[str, str]) -> None:
    code = SESSION + (
        "import os, time\n"
        "def work(number):\n"
        "    if number == 3 and not os.path.exists('/opt/programs/died'):\n"
        "        open('/opt/programs/died', 'w').close()\n"
        "        os.kill(os.getppid(), 9)\n"
        "        os.kill(1, 9)\n"
        "        time.sleep(60)\n"
        "    return number\n"
        "print('sum', context.parallelize(range(4), 4).map(work).sum())\n"
        "sys.exit(5)\n"
    )
    error = attempts.error(submit(attempts, packages, code), 240)
    assert error.message.startswith("driver-0: the task's process ended with exit code 5"), "and not what it survived"
    assert "sum 6" in error.message
    nothing_left(attempts)


def test_an_image_that_cannot_be_pulled_is_told_of_the_driver(attempts: Attempts, packages: tuple[str, str]) -> None:
    attempts.restart(graces=Graces(image=6))
    given = submit(attempts, packages, "", image="localhost:1/absent:1")
    assert attempts.waiting(given, "ImagePull").message.startswith("driver-0: the image 'localhost:1/absent:1'")
    assert attempts.error(given).code == "ImagePull"
    nothing_left(attempts)


def test_executors_whose_image_cannot_be_pulled_end_what_would_wait_for_them(
    attempts: Attempts, packages: tuple[str, str]
) -> None:
    attempts.restart(graces=Graces(image=6))
    absent = {"spark.kubernetes.executor.container.image": "localhost:1/absent:1"}
    code = SESSION + "print(context.parallelize(range(4)).sum())\n"
    custom = {"executorPod": {"podSpec": {"containers": [{"name": "primary", "image": "localhost:1/absent:1"}]}}}
    given = submit(attempts, packages, code, conf=absent, custom=custom)
    error = attempts.error(given, 240)
    assert (error.code, error.kind) == ("ImagePull", USER)
    assert error.message.startswith("executor-")
    nothing_left(attempts)


def test_what_cannot_be_submitted_says_why_in_sparks_words(attempts: Attempts, packages: tuple[str, str]) -> None:
    error = attempts.error(submit(attempts, packages, "", conf={"spark.executor.memory": "much"}), 240)
    assert (error.code, error.kind) == ("SubmissionFailed", USER)
    assert error.message == "it could not be submitted to Spark: Executor memory must be a positive number"
    nothing_left(attempts)


def test_an_application_that_somebody_deletes_is_a_system_failure_and_its_pods_go(
    attempts: Attempts, packages: tuple[str, str]
) -> None:
    given = submit(attempts, packages, SESSION + "import time\ntime.sleep(600)\n")
    attempts.until(lambda: len(attempts.namespace.get("pods", selector="spark-role=executor")["items"]) == 2, 240)
    attempts.namespace.kubectl("delete", "sparkapplications", "--all", "--wait=false")
    error = attempts.error(given)
    assert (error.code, error.kind) == ("DeletedByOthers", SYSTEM)
    nothing_left(attempts)


def test_a_driver_that_somebody_deletes_is_a_system_failure(attempts: Attempts, packages: tuple[str, str]) -> None:
    given = submit(attempts, packages, "import time\ntime.sleep(600)\n")
    attempts.running(given)
    attempts.namespace.kubectl("delete", "pods", "-l", "spark-role=driver", "--wait=false")
    error = attempts.error(given)
    assert (error.code, error.kind) == ("DeletedByOthers", SYSTEM)
    nothing_left(attempts)


def test_an_operator_that_goes_away_does_not_keep_a_program_from_ending(
    attempts: Attempts, packages: tuple[str, str], own_cluster: Cluster
) -> None:
    given = submit(attempts, packages, "import time\ntime.sleep(15)\n", with_outputs=True)
    attempts.running(given)
    own_cluster.part("stop", "spark", "--kill")
    try:
        assert attempts.outcome(given, 90).phase == AttemptPhase.SUCCEEDED
        nothing_left(attempts)
    finally:
        own_cluster.part("start", "spark")


def test_a_silent_operator_is_named_and_its_application_ends(
    attempts: Attempts, packages: tuple[str, str], own_cluster: Cluster
) -> None:
    own_cluster.part("stop", "spark", "--kill")
    try:
        attempts.restart(graces=Graces(operator=3))
        given = submit(attempts, packages, "")
        assert "the Spark operator has said nothing" in attempts.waiting(given, "OperatorSilent", 150).message
        error = attempts.error(given)
        assert (error.code, error.kind) == ("OperatorSilent", SYSTEM)
        nothing_left(attempts)
    finally:
        own_cluster.part("start", "spark")


def test_a_driver_that_may_make_no_pods_is_told_whose_right_is_missing(
    attempts: Attempts, packages: tuple[str, str]
) -> None:
    attempts.namespace.kubectl("delete", "rolebinding", "drivers")
    error = attempts.error(submit(attempts, packages, SESSION), 240)
    assert error.code == "NonZeroExit"
    assert "may not make its executors" in error.message
    nothing_left(attempts)
