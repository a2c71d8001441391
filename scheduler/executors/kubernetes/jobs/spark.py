"""`spark` of flytekit as SparkApplication of the Spark operator: a driver, and executors that it starts.

Pods are given as templates, which the operator hands to Spark (since 2.1), so nothing needs the operator's webhook.
Without it the pods belong to nobody: the object's removal leaves them running, so they are removed by their labels.
`databricksConf` is in every task and says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from artifacts.exceptions import InvalidArgument
from scheduler.attempts.outcomes import SYSTEM, USER
from scheduler.attempts.spec import AttemptSpec
from scheduler.executors.kubernetes import pods
from scheduler.executors.kubernetes.ending import Verdict
from scheduler.executors.kubernetes.jobs import replicas
from scheduler.executors.kubernetes.jobs.kind import Json, Kind, Plan, Rank, Scene, Seen, Sight
from scheduler.executors.kubernetes.jobs.templates import job, main_of, put_over, template
from scheduler.executors.kubernetes.observe import Over, Runs, Waits
from scheduler.executors.kubernetes.resource import Resource
from scheduler.executors.kubernetes.wait import Wait

DRIVER, EXECUTOR = "spark-kubernetes-driver", "spark-kubernetes-executor"  # Spark's own names
_VERSION = re.compile(r"(\d+\.\d+(?:\.\d+)?)")
_OTHERWISE = "3.5.0"
# As the operator and spark-submit say why there is no driver
_SUBMITTING, _OF_CLUSTER = "failed to submit spark application", "KubernetesClientException"
_ERROR = re.compile(r'^(?:.*: )?Exception in thread "main" [\w.$]+: (.+)$', re.MULTILINE)
_CAUSE = re.compile(r"^Caused by: [\w.$]+: (.+)$", re.MULTILINE)
_ANSWER, _INVALID = re.compile(r" Message: (.+?)\.? Received status: "), re.compile(r"\bcode=(?:400|422)\b")
_TYPES = {"PYTHON": "Python", "JAVA": "Java", "SCALA": "Scala", "R": "R"}
_ENDED = {"COMPLETED", "SUCCEEDING"}
_EXECUTOR = re.compile(r"-exec-(\d+)$", re.ASCII)
# What the operator makes of fields of its own; twice it would say one thing and mean the other
_FIELDS = {"spark.driver.cores", "spark.driver.memory", "spark.executor.cores", "spark.executor.memory"}
_NAMESPACE = "spark.kubernetes.namespace"
# Files are uploaded there from where it is submitted: the operator's pod, which has its token
_UPLOAD = "spark.kubernetes.file.upload.path"


def build(plan: Plan) -> Json:
    conf = {str(name): str(value) for name, value in (plan.custom.get("sparkConf") or {}).items()}
    _refuse_other_places(plan, conf)
    if not plan.custom.get("mainApplicationFile"):
        raise InvalidArgument(f"task {plan.spec.identity.task} names no mainApplicationFile for Spark")
    image = plan.spec.image or plan.cluster.image
    spec: Json = {
        "type": _TYPES.get(str(plan.custom.get("applicationType") or "PYTHON").upper(), "Python"),
        "mode": "cluster",
        "image": image,
        "sparkVersion": _version(image),
        "mainApplicationFile": str(plan.custom["mainApplicationFile"]),
        "arguments": list(plan.spec.argv),
        "restartPolicy": {"type": "Never"},  # another try is another attempt
        "driver": _node(plan, "driver", DRIVER, conf),
        "executor": {**_node(plan, "executor", EXECUTOR, conf), **_instances(conf)},
        "sparkConf": {**_python(plan), **_without_fields(conf)},
    }
    if spec["type"] == "Python":
        spec["pythonVersion"] = "3"
    if main := plan.custom.get("mainClass"):
        spec["mainClass"] = str(main)
    if hadoop := plan.custom.get("hadoopConf"):
        spec["hadoopConf"] = {str(name): str(value) for name, value in hadoop.items()}
    if pull := plan.cluster.image_pull_policy:
        spec["imagePullPolicy"] = pull
    if secrets := plan.cluster.image_pull_secrets:
        spec["imagePullSecrets"] = list(secrets)
    return job(plan, spec)


def _node(plan: Plan, role: str, container: str, conf: Mapping[str, str]) -> Json:
    """Its pods as a template, which Spark itself reads; over that it puts what fields and configuration say: image,
    cores, memory.
    """
    made = template(plan, role, container, program=False, calls_cluster=role == "driver")
    given = plan.custom.get(f"{role}Pod") or {}
    put_over(made, container, given, str(given.get("primaryContainerName") or ""))
    told: Json = {
        "cores": int(conf.get(f"spark.{role}.cores") or 1),
        "memory": conf.get(f"spark.{role}.memory") or "1g",
        "template": made,
    }
    image = main_of(made["spec"], container)["image"]
    if image != (plan.spec.image or plan.cluster.image):
        told["image"] = image
    if account := made["spec"].get("serviceAccountName"):
        told["serviceAccount"] = account
    return told


def _version(image: str) -> str:
    """The field is needed. Of Spark 2 the operator would not take templates, and an image's tag may mean another thing
    than its Spark.
    """
    found = _VERSION.search(image.rpartition(":")[2])
    return found[0] if found and int(found[0].partition(".")[0]) >= 3 else _OTHERWISE


def _instances(conf: Mapping[str, str]) -> Json:
    told = conf.get("spark.executor.instances", "")
    return {"instances": int(told)} if told.isascii() and told.isdigit() else {}


def _python(plan: Plan) -> dict[str, str]:
    path = str(plan.custom.get("executorPath") or "")
    return {"spark.pyspark.python": path, "spark.pyspark.driver.python": path} if path else {}


def _without_fields(conf: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in conf.items() if name not in _FIELDS and _set_by(name) != _UPLOAD}


def _refuse_other_places(plan: Plan, conf: Mapping[str, str]) -> None:
    """The operator, who may make pods everywhere, lets the configuration go before the application's own namespace:
    there pods would have another project's secrets and accounts.
    """
    for name, value in conf.items():
        if _set_by(name) == _NAMESPACE and (name, value) != (_NAMESPACE, plan.around.namespace):
            raise InvalidArgument(
                f"task {plan.spec.identity.task}: its pods run in the namespace {plan.around.namespace}, and "
                f"{_NAMESPACE} of its sparkConf names another"
            )


def _set_by(name: str) -> str:
    """What is set by `--conf name=value`, as the operator writes it."""
    return name.partition("=")[0].strip()


def rank(pod: Seen) -> Rank | None:
    role = pods.part(pod, "metadata", "labels").get("spark-role")
    if role == "driver":
        return Rank("driver")
    if role != "executor":
        return None
    told = pods.part(pod, "metadata", "labels").get("spark-exec-id")
    number = _EXECUTOR.search(pods.name_of(pod))
    return Rank("executor", int(told) if isinstance(told, str) and told.isdigit() else int(number[1]) if number else 0)


def observe(scene: Scene) -> Sight:
    if scene.job is None:
        return replicas.gone(scene)
    state = pods.text(scene.status, "applicationState", "state")
    said = pods.text(scene.status, "applicationState", "errorMessage")
    if state in _ENDED:
        return Over(Verdict(failed=False, exit_code=0), replicas.started_at(scene), None)
    if state in ("FAILED", "FAILING", "SUBMISSION_FAILED"):
        return _failure(scene, said or f"{scene.operator} says {state}")
    if (leaving := replicas.leaving(scene)) is not None:
        return leaving
    if pods.part(scene.job, "spec").get("suspend") is True:
        return replicas.evicted(scene) if scene.ran else replicas.held_by_kueue(scene)
    if (over := replicas.cannot_start(scene)) is not None:
        return _with_entrypoint(over)
    if (ending := replicas.of_main(scene)) is not None:
        return ending
    driver = scene.pods.get(Rank("driver"))
    if driver is not None and replicas.has_started(driver):
        return replicas.stuck(scene) or Runs(pods.started_at(driver, DRIVER))
    if not state and driver is None:  # spark-submit alone takes half a minute
        return replicas.silent(scene, _SUBMITS) if replicas.age(scene) > _SUBMITS else _submitting(scene)
    return replicas.waits(scene) or _submitting(scene)


_SUBMITS = 90.0  # seconds that the operator may say nothing while it submits


def _submitting(scene: Scene) -> Waits:
    return Waits(Wait("PodInitializing", "it is being submitted to Spark", scene.graces.initializing))


def _failure(scene: Scene, said: str) -> Over:
    """The driver's container tells more than the operator; a submission that failed has none."""
    if _SUBMITTING in said:
        return Over(Verdict("SubmissionFailed", _in_short(said), _whose(said)), replicas.started_at(scene), None)
    over = replicas.failure_of_main(scene, said)
    return _with_entrypoint(over)


def _in_short(said: str) -> str:
    """What spark-submit, whose whole output the operator gives, ended with: its error and what that came from."""
    errors = [*_ERROR.findall(said), *_CAUSE.findall(said)[-1:]]
    told = [found[1] if (found := _ANSWER.search(error)) else error for error in errors]
    return f"it could not be submitted to Spark: {'; '.join(dict.fromkeys(told)) or said}"


def _whose(said: str) -> int:
    """What the cluster did not take is the program's fault only where its pods cannot be; the rest Spark says of what
    the task asks for. Where nothing is told the submission itself did not come so far.
    """
    if not _ERROR.search(said) or (_OF_CLUSTER in said and not _INVALID.search(said)):
        return SYSTEM
    return USER


def _with_entrypoint(over: Over) -> Over:
    """Spark's pods are started with the words `driver` and `executor`, which its own images understand."""
    if over.verdict.code != "StartError":
        return over
    words = f"{over.verdict.message}; Spark's pods need an image whose entrypoint is Spark's own (entrypoint.sh)"
    return replace(over, verdict=replace(over.verdict, message=words))


def _main(spec: AttemptSpec) -> Rank:
    return Rank("driver")


KIND = Kind(
    "spark",
    "the Spark operator",
    (Resource("sparkoperator.k8s.io", "v1beta2", "SparkApplication", "sparkapplications"),),
    build,
    observe,
    rank,
    _main,
    by_main=True,
)
