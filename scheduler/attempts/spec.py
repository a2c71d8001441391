"""What one attempt is, wherever it runs: everything an executor needs to know of it, and nothing of any place.

The engine's shell makes an `AttemptSpec` when it queues an attempt (scheduler.shell.attempt_spec); it is kept as JSON
in TaskExecution.command (scheduler.attempts.wire) and never changes. Values are whole: templates in the command line
are filled in, the launch's and the node's settings are taken into account. Secrets are requests, never values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scheduler.secrets.names import Request


@dataclass(frozen=True, slots=True)
class Identity:
    """Which attempt it is. `name` is unique over everything and the same whenever the attempt is made again."""

    name: str
    project: str = ""
    domain: str = ""
    execution: str = ""  # its name
    node: str = ""  # Flyte's unique node id, as `n0-0-n1`
    attempt: int = 0
    index: int = -1  # item of a map; -1: not a map
    workflow: str = ""  # name of the workflow that is run
    task: str = ""  # name of the task
    task_version: str = ""
    user: str = ""  # who launched it

    @property
    def place(self) -> tuple[str, str]:
        """Project and domain it works for."""
        return self.project, self.domain


@dataclass(frozen=True, slots=True)
class DataConfig:
    """Where a raw container finds its inputs and leaves its outputs."""

    input_path: str = ""
    output_path: str = ""
    format: str = ""  # name in core.DataLoadingConfig.LiteralMapFormat
    outputs: str = ""  # base64 of the core.VariableMap of what it gives


@dataclass(frozen=True, slots=True)
class Pod:
    """The pod template of a task as it was sent; the primary container's image, words, variables and needs that count
    are those of the AttemptSpec.
    """

    spec: Mapping[str, Any] = field(default_factory=dict)  # Kubernetes' PodSpec in its own JSON
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    primary: str = ""  # name of the container that runs the task's program
    template: str = ""  # name of a PodTemplate object of the cluster; empty: the namespace's default one


@dataclass(frozen=True, slots=True)
class Accelerator:
    """core.GPUAccelerator. `partition`: its size, as `1g.5gb`; None: any or none, "": a whole device is meant."""

    device: str = ""
    partition: str | None = None


@dataclass(frozen=True, slots=True)
class SharedMemory:
    """core.SharedMemory. `size_limit`: a Kubernetes quantity; empty: as much as there is."""

    size_limit: str = ""
    mount_path: str = ""
    mount_name: str = ""


@dataclass(frozen=True, slots=True)
class Needs:
    """What the container of the task's program asks for, by the names of Kubernetes (`cpu`, `memory`,
    `ephemeral-storage`, `google.com/tpu`), amounts as quantities (`500m`, `1Gi`); `gpu` is a GPU of whatever kind the
    place has. After overrides, the platform's defaults and its limits. A limit is there where somebody set one.

    What all containers together reserve is TaskExecution.resources, which Assignment.resources is read from.
    """

    requests: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)
    accelerator: Accelerator | None = None
    shared_memory: SharedMemory | None = None
    defaults: frozenset[str] = frozenset()  # of the requests, those that are only the platform's defaults


@dataclass(frozen=True, slots=True)
class Addresses:
    """URIs in the object store. Where outputs, errors and decks lie below `output_prefix` flytekit says."""

    inputs: str = ""
    output_prefix: str = ""
    raw_output_prefix: str = ""
    checkpoint: str = ""
    prev_checkpoint: str = ""  # of the attempt before; empty: this is the first
    log: str = ""
    template: str = ""  # the core.TaskTemplate as it was compiled; empty: it is not kept, nobody needs it


@dataclass(frozen=True, slots=True)
class Job:
    """What a task of several processes asks of the operator that starts them. `custom`: the task's, in the words of
    flytekit's plugin; `needs`: of the roles that do not need what the container needs, by their names.
    """

    custom: Mapping[str, Any] = field(default_factory=dict)
    needs: Mapping[str, Needs] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AttemptSpec:
    identity: Identity
    task_type: str = ""
    image: str = ""
    argv: tuple[str, ...] = ()  # command and arguments; empty: no container
    entry: int = 0  # how many of these words replace the image's entry point; 0: it stays
    env: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, str] = field(default_factory=dict)  # TaskTemplate.config: words for a plugin
    architecture: str = ""  # name in core.Container.Architecture; empty: any
    data_config: DataConfig | None = None  # of a raw container
    pod: Pod | None = None
    overlay: Pod | None = None  # what the node says of the pod: it goes before `pod`
    job: Job | None = None  # None: one process does what the task means
    echo: Mapping[str, str] | None = None  # of a task that needs no program: the input that each output is
    needs: Needs = Needs()
    addresses: Addresses = Addresses()
    secrets: tuple[Request, ...] = ()
    service_account: str = ""
    iam_role: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)  # of the launch
    annotations: Mapping[str, str] = field(default_factory=dict)
    interruptible: bool = False  # may run where it can be taken away
    timeout_seconds: float | None = None  # from its start; None: it has none of its own
    reuse: bool = False  # its process may run others afterwards

    @property
    def command(self) -> tuple[str, ...]:
        return self.argv[: self.entry]

    @property
    def arguments(self) -> tuple[str, ...]:
        return self.argv[self.entry :]
