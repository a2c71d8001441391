"""`spark` of flytekit as SparkApplication of the Spark operator: a driver, and executors that it starts.

What the operator's webhook would put into pods (variables, secrets) is said by Spark's own configuration, which needs
none. Without the webhook the pods belong to nobody: the object's removal leaves them running, so they are removed by
their labels. `databricksConf` is in every task and says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from artifacts.exceptions import InvalidArgument
from scheduler.attempts.outcomes import USER
from scheduler.attempts.spec import AttemptSpec
from scheduler.executors.kubernetes import names, pods
from scheduler.executors.kubernetes.ending import Verdict
from scheduler.executors.kubernetes.jobs import replicas
from scheduler.executors.kubernetes.jobs.kind import Json, Kind, Plan, Rank, Scene, Seen, Sight
from scheduler.executors.kubernetes.jobs.templates import job, main_of, template
from scheduler.executors.kubernetes.observe import Over, Runs, Waits
from scheduler.executors.kubernetes.resource import Resource
from scheduler.executors.kubernetes.wait import Wait

DRIVER, EXECUTOR = "spark-kubernetes-driver", "spark-kubernetes-executor"  # Spark's own names
_VERSION = re.compile(r"(\d+\.\d+(?:\.\d+)?)")
_OTHERWISE = "3.5.0"  # the field is needed, and read by people only
_TYPES = {"PYTHON": "Python", "JAVA": "Java", "SCALA": "Scala", "R": "R"}
_ENDED = {"COMPLETED", "SUCCEEDING"}
_EXECUTOR = re.compile(r"-exec-(\d+)$", re.ASCII)
# What the operator makes of fields of its own; twice it would say one thing and mean the other
_FIELDS = {"spark.driver.cores", "spark.driver.memory", "spark.executor.cores", "spark.executor.memory"}


def build(plan: Plan) -> Json:
    conf = {str(name): str(value) for name, value in (plan.custom.get("sparkConf") or {}).items()}
    if not plan.custom.get("mainApplicationFile"):
        raise InvalidArgument(f"task {plan.spec.identity.task} names no mainApplicationFile for Spark")
    if plan.around.secret_files:
        raise InvalidArgument(
            f"task {plan.spec.identity.task} asks for secrets as files, which Spark's pods do not get: ask for them as "
            "environment variables (mount_requirement=Secret.MountType.ENV_VAR)"
        )
    image = plan.spec.image or plan.cluster.image
    spec: Json = {
        "type": _TYPES.get(str(plan.custom.get("applicationType") or "PYTHON").upper(), "Python"),
        "mode": "cluster",
        "image": image,
        "sparkVersion": (_VERSION.search(image.rpartition(":")[2]) or [_OTHERWISE])[0],
        "mainApplicationFile": str(plan.custom["mainApplicationFile"]),
        "arguments": list(plan.spec.argv),
        "restartPolicy": {"type": "Never"},  # another try is another attempt
        "driver": _node(plan, "driver", DRIVER, conf),
        "executor": {**_node(plan, "executor", EXECUTOR, conf), **_instances(conf)},
        "sparkConf": {**_variables(plan), **_python(plan), **_without_fields(conf)},
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
    """Where it may run and what it is called; the template takes the rest where the operator has its webhook."""
    made = template(plan, role, container, program=False)
    pod = made["spec"]
    told: Json = {
        "labels": made["metadata"]["labels"],
        "annotations": {**made["metadata"]["annotations"], names.PRIMARY: container},
        "cores": int(conf.get(f"spark.{role}.cores") or 1),
        "memory": conf.get(f"spark.{role}.memory") or "1g",
    }
    for name, field in (("serviceAccountName", "serviceAccount"), ("nodeSelector", "nodeSelector")):
        if pod.get(name):
            told[field] = pod[name]
    for name in ("tolerations", "affinity", "securityContext", "priorityClassName"):
        if pod.get(name):
            told[name if name != "securityContext" else "podSecurityContext"] = pod[name]
    if given := (plan.custom.get(f"{role}Pod") or {}).get("podSpec"):
        own = {**given, "containers": [{**one, "name": container} for one in (given.get("containers") or ())][:1]}
        told["template"] = {"spec": own}
    return told


def _instances(conf: Mapping[str, str]) -> Json:
    told = conf.get("spark.executor.instances", "")
    return {"instances": int(told)} if told.isascii() and told.isdigit() else {}


def _variables(plan: Plan) -> dict[str, str]:
    """Of the driver and the executors."""
    made = template(plan, "driver", DRIVER, program=False)
    found: dict[str, str] = {}
    for entry in main_of(made["spec"], DRIVER).get("env") or ():
        source = (entry.get("valueFrom") or {}).get("secretKeyRef")
        for ours, theirs in (("driver", "spark.kubernetes.driverEnv."), ("executor", "spark.executorEnv.")):
            if source:
                found[f"spark.kubernetes.{ours}.secretKeyRef.{entry['name']}"] = f"{source['name']}:{source['key']}"
            elif "value" in entry:
                found[f"{theirs}{entry['name']}"] = str(entry["value"])
    for name in plan.around.store_keys:
        for ours in ("driver", "executor"):
            found[f"spark.kubernetes.{ours}.secretKeyRef.{name}"] = f"{plan.around.store_secret}:{name}"
    return found


def _python(plan: Plan) -> dict[str, str]:
    path = str(plan.custom.get("executorPath") or "")
    return {"spark.pyspark.python": path, "spark.pyspark.driver.python": path} if path else {}


def _without_fields(conf: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in conf.items() if name not in _FIELDS}


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
        return _failure(scene, state, said)
    if (leaving := replicas.leaving(scene)) is not None:
        return leaving
    if pods.part(scene.job, "spec").get("suspend") is True:
        return replicas.evicted(scene) if scene.ran else replicas.held_by_kueue(scene)
    if (over := replicas.cannot_start(scene)) is not None:
        return _with_entrypoint(over)
    driver = scene.pods.get(Rank("driver"))
    if driver is not None and replicas.has_started(driver):
        return Runs(pods.started_at(driver, DRIVER))
    if not state and driver is None:  # spark-submit alone takes half a minute
        return replicas.silent(scene) if replicas.age(scene) > _SUBMITS else _submitting(scene)
    return replicas.waits(scene) or _submitting(scene)


_SUBMITS = 90.0  # seconds that the operator may say nothing while it submits


def _submitting(scene: Scene) -> Waits:
    return Waits(Wait("PodInitializing", "it is being submitted to Spark", scene.graces.initializing))


def _failure(scene: Scene, state: str, said: str) -> Over:
    """The driver's container tells more than the operator; a submission that failed has none."""
    over = replicas.failure_of(scene, "")
    if over.verdict.code == "JobFailed":
        code = "SubmissionFailed" if state == "SUBMISSION_FAILED" else "JobFailed"
        return Over(Verdict(code, said or f"{scene.operator} says {state}", USER), over.started_at, None)
    return _with_entrypoint(over)


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
)
