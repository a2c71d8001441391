"""What an executor is told of an attempt (scheduler.attempts.spec), from the task, its node and the launch."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from flyteidl.core import interface_pb2, security_pb2, tasks_pb2
from google.protobuf import json_format, struct_pb2

from artifacts.exceptions import InvalidArgument
from artifacts.literals.decode import whole_numbers
from scheduler import operators, pods, together
from scheduler.attempts.spec import Addresses, AttemptSpec, DataConfig, Identity, Job, Needs, Pod
from scheduler.container_needs import needs_of, needs_of_roles
from scheduler.environment import REUSE, check_variable
from scheduler.graphs import Target
from scheduler.secrets.names import Request, requests_of
from scheduler.shell.task_command import Run, filler
from scheduler.task_resources import Amounts, Platform, resources_of
from scheduler.uris import log_of

NAME = 255  # characters; TaskExecution.name


@dataclass(frozen=True, slots=True)
class _Template:
    """What is the same for all attempts of a node, and of all executions of its workflow."""

    words: tuple[str, ...]  # command and arguments, with their templates
    entry: int
    image: str
    env: Mapping[str, str]
    config: Mapping[str, str]
    architecture: str
    data_config: DataConfig | None
    pod: Pod | None
    overlay: Pod | None
    echo: Mapping[str, str] | None
    secrets: tuple[Request, ...]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    run_as: security_pb2.Identity
    timeout_seconds: float | None


@lru_cache(maxsize=512)
def _template(target: Target) -> _Template:
    """Targets live as long as their compiled workflow is kept; items of a map, and later executions, share theirs."""
    task = target.task or tasks_pb2.TaskTemplate()
    container, overrides = pods.container_of(task), target.node.task_node.overrides
    own, data = task.metadata.metadata, container.data_config
    instead = pods.container_instead(overrides.pod_template)
    return _Template(
        words=(*container.command, *container.args),
        entry=len(container.command),
        image=overrides.container_image or instead.image or container.image,
        env=_own_variables(task, container, instead),
        config=dict(task.config),
        architecture=tasks_pb2.Container.Architecture.Name(container.architecture) if container.architecture else "",
        data_config=_data_config(data, task.interface.outputs) if data.enabled else None,
        pod=_pod(task.k8s_pod, task.metadata.pod_template_name, pods.primary_name(task)),
        overlay=_pod(overrides.pod_template, "", overrides.pod_template.primary_container_name),
        echo=_echo(task) if task.type == "echo" else None,
        secrets=tuple(requests_of(task)),
        labels=dict(own.labels),
        annotations=dict(own.annotations),
        run_as=task.security_context.run_as,
        timeout_seconds=_timeout(target),
    )


@lru_cache(maxsize=512)
def container_needs(target: Target, platform: bytes) -> Needs:
    return needs_of(target, Platform.FromString(platform))


@lru_cache(maxsize=512)
def _job(target: Target, platform: bytes) -> Job | None:
    """None where one process does what the task means."""
    task = target.task
    if task is None or not operators.roles_of(task):
        return None
    return Job(_told(task.custom), needs_of_roles(target, Platform.FromString(platform)))


@lru_cache(maxsize=512)
def amounts_of(target: Target, platform: bytes) -> Amounts:
    """resources_of, by the platform's attributes as the execution keeps them. Nobody changes the answer."""
    return resources_of(target, Platform.FromString(platform) if platform else None)


def spec_of(run: Run, target: Target, platform: bytes = b"") -> AttemptSpec:
    """`platform`: Execution.task_resources.

    InvalidArgument if the task is not compiled in, asks for what cannot be, or names an unknown input.
    """
    task = target.task
    if task is None:
        raise InvalidArgument(f"the task of node {run.key} is not part of the compiled workflow")
    template, launch = _template(target), run.spec
    addresses = _addresses(run)
    fill = filler(run, addresses.inputs)
    env = {**_variables(run), **template.env, **{pair.key: pair.value for pair in launch.envs.values}}
    env |= _array_environment(run)
    argv = tuple(map(fill, template.words))
    _check_possible(run, argv, env)
    run_as = launch.security_context.run_as
    return AttemptSpec(
        identity=_identity(run, task),
        task_type=task.type,
        image=template.image,
        argv=argv,
        entry=template.entry,
        env=env,
        config=template.config,
        architecture=template.architecture,
        data_config=template.data_config,
        pod=_filled(template.pod, fill),
        overlay=_filled(template.overlay, fill),
        job=_job(target, platform),
        echo=template.echo,
        needs=container_needs(target, platform),
        addresses=addresses,
        secrets=template.secrets,
        service_account=run_as.k8s_service_account or template.run_as.k8s_service_account,
        iam_role=run_as.iam_role or template.run_as.iam_role,
        labels={**template.labels, **launch.labels.values},
        annotations={**template.annotations, **launch.annotations.values},
        interruptible=run.interruptible,
        timeout_seconds=template.timeout_seconds,
        # A process that had secrets is not left for the next attempt.
        reuse=not template.secrets and env.get(REUSE, "1" if run.index >= 0 else "0") == "1",
    )


def _identity(run: Run, task: tasks_pb2.TaskTemplate) -> Identity:
    return Identity(
        name=run.attempt_name[:NAME],
        project=run.project,
        domain=run.domain,
        execution=run.name,
        node=run.key,
        attempt=run.attempt,
        index=run.index,
        workflow=run.workflow,
        task=task.id.name,
        task_version=task.id.version,
        user=run.user,
    )


def _addresses(run: Run) -> Addresses:
    uris, prefix = run.uris, run.uris.attempt(run.key, run.attempt, run.index)
    return Addresses(
        inputs=run.inputs_uri or uris.inputs(run.key),
        output_prefix=prefix,
        raw_output_prefix=uris.raw_output(run.key, run.attempt, run.index),
        checkpoint=uris.checkpoint(run.key, run.attempt, run.index),
        prev_checkpoint=uris.checkpoint(run.key, run.attempt - 1, run.index) if run.attempt else "",
        log=log_of(prefix, run.index, otherwise=run.attempt_name),
    )


def _told(struct: struct_pb2.Struct) -> dict[str, Any]:
    """Whole numbers as integers: a cluster refuses `runAsUser: 0.0`, and a Struct has only doubles."""
    found: dict[str, Any] = whole_numbers(json_format.MessageToDict(struct))
    return found


def _pod(given: tasks_pb2.K8sPod, template: str, primary: str) -> Pod | None:
    """As it was sent; None where there is nothing of it."""
    if not (given.ByteSize() or template):
        return None
    return Pod(
        spec=_told(given.pod_spec),
        labels=dict(given.metadata.labels),
        annotations=dict(given.metadata.annotations),
        primary=primary,
        template=template,
    )


def _filled(pod: Pod | None, fill: Callable[[str], str]) -> Pod | None:
    """Flyte's templates are filled in for all containers of the pod, not only for that of the program."""
    if pod is None or "{{" not in json.dumps(pod.spec):
        return pod
    spec = dict(pod.spec)
    for kind in ("containers", "initContainers"):
        if isinstance(spec.get(kind), list):
            spec[kind] = [_with_words(one, fill) if isinstance(one, dict) else one for one in spec[kind]]
    return replace(pod, spec=spec)


def _with_words(container: Mapping[str, Any], fill: Callable[[str], str]) -> dict[str, Any]:
    words = {name: container[name] for name in ("command", "args") if isinstance(container.get(name), list)}
    filled = {name: [fill(one) if isinstance(one, str) else one for one in told] for name, told in words.items()}
    return {**container, **filled}


def _check_possible(run: Run, args: tuple[str, ...], env: dict[str, str]) -> None:
    """What a dynamic task made up, or an input brought into the command, was seen by no door."""
    for argument in args:
        if "\x00" in argument:
            raise InvalidArgument(f"the command of node {run.key} holds a NUL character: {argument[:80]!r}")
    for name, value in env.items():
        check_variable(name, value, f"the environment of node {run.key}")


def _echo(task: tasks_pb2.TaskTemplate) -> dict[str, str]:
    """Output by input of flytekit's `Echo`, which has no container: as flyteplugins' echo, of at most one input."""
    inputs, outputs = list(task.interface.inputs.variables), list(task.interface.outputs.variables)
    if len(inputs) != len(outputs) or len(inputs) > 1:
        has = f"{task.id.name} has {len(inputs)} and {len(outputs)}"
        raise InvalidArgument(f"an echo task has as many outputs as inputs, at most one; {has}")
    return dict(zip(inputs, outputs, strict=True))


def _timeout(target: Target) -> float | None:
    node, task = target.node.metadata.timeout, target.task.metadata.timeout if target.task is not None else None
    seconds = node.ToTimedelta().total_seconds() or (task.ToTimedelta().total_seconds() if task is not None else 0)
    return seconds if seconds > 0 else None


def _data_config(data: tasks_pb2.DataLoadingConfig, outputs: interface_pb2.VariableMap) -> DataConfig:
    """Where a raw container finds its inputs and leaves its outputs, and which these are."""
    return DataConfig(
        input_path=data.input_path,
        output_path=data.output_path,
        format=tasks_pb2.DataLoadingConfig.LiteralMapFormat.Name(data.format),
        outputs=base64.b64encode(outputs.SerializeToString()).decode(),
    )


def _variables(run: Run) -> dict[str, str]:
    """Flyte's variables of the execution and the attempt. The task's follow, then those given at launch."""
    return {
        "FLYTE_INTERNAL_EXECUTION_WORKFLOW": f"{run.project}:{run.domain}:{run.spec.launch_plan.name}",
        "FLYTE_INTERNAL_EXECUTION_ID": run.name,
        "FLYTE_INTERNAL_EXECUTION_PROJECT": run.project,
        "FLYTE_INTERNAL_EXECUTION_DOMAIN": run.domain,
        "FLYTE_ATTEMPT_NUMBER": str(run.attempt),
        "_F_L_MIN_SIZE_MB": "10",  # flytekit offloads larger literals
        "_F_L_MAX_SIZE_MB": "1000",
    }


def _own_variables(task: tasks_pb2.TaskTemplate, *containers: tasks_pb2.Container) -> dict[str, str]:
    """Of several containers the later ones go before."""
    own = {pair.key: pair.value for container in containers for pair in container.env}
    return {
        "FLYTE_INTERNAL_TASK_PROJECT": task.id.project,
        "FLYTE_INTERNAL_TASK_DOMAIN": task.id.domain,
        "FLYTE_INTERNAL_TASK_NAME": task.id.name,
        "FLYTE_INTERNAL_TASK_VERSION": task.id.version,
        **operators.environment(task),
        **together.environment(task, own),
        **own,
    }


def _array_environment(run: Run) -> dict[str, str]:
    """How a map task finds out which item it is for."""
    if run.index < 0:
        return {}
    variables = {"BATCH_JOB_ARRAY_INDEX_VAR_NAME": "FLYTE_K8S_ARRAY_INDEX", "FLYTE_K8S_ARRAY_INDEX": str(run.index)}
    if run.first:  # flytekit adds it to the index and takes that item of the lists
        variables["BATCH_JOB_ARRAY_INDEX_OFFSET"] = str(-run.first)
    return variables
