"""What a service is told of an attempt: as Flyte's connector plugin tells it (webapi/connector/plugin.go, v1.16.8).

Secrets are requests in the template's security context, never values: a service has its own (flytekit's
`get_connector_secret` reads them from the service's environment).
"""

from __future__ import annotations

from dataclasses import dataclass

from flyteidl.admin import agent_pb2
from flyteidl.core import identifier_pb2, literals_pb2, security_pb2, tasks_pb2

from artifacts.store import ObjectStore
from scheduler.attempts.spec import AttemptSpec, Identity


@dataclass(frozen=True)
class Order:
    """One attempt, as it is sent. `outputs`: the names that the task declares."""

    template: tasks_pb2.TaskTemplate
    inputs: literals_pb2.LiteralMap
    prefix: str
    metadata: agent_pb2.TaskExecutionMetadata

    @property
    def outputs(self) -> list[str]:
        return list(self.template.interface.outputs.variables)

    def to_create(self) -> agent_pb2.CreateTaskRequest:
        return agent_pb2.CreateTaskRequest(
            inputs=self.inputs,
            template=self.template,
            output_prefix=self.prefix,
            task_execution_metadata=self.metadata,
        )

    def header(self) -> agent_pb2.CreateRequestHeader:
        return agent_pb2.CreateRequestHeader(
            template=self.template, output_prefix=self.prefix, task_execution_metadata=self.metadata
        )


def order_of(spec: AttemptSpec, store: ObjectStore) -> Order:
    """Reads the template and the inputs. Raises what the store raises, and DecodeError for what is none."""
    addresses = spec.addresses
    template = tasks_pb2.TaskTemplate.FromString(store.get(addresses.template))
    _fill(template, spec)
    declared = bool(template.interface.inputs.variables)
    inputs = literals_pb2.LiteralMap.FromString(store.get(addresses.inputs)) if declared else literals_pb2.LiteralMap()
    return Order(template, inputs, addresses.output_prefix, _metadata(spec))


def category_of(template: tasks_pb2.TaskTemplate) -> agent_pb2.TaskCategory:
    return agent_pb2.TaskCategory(name=template.type, version=template.task_type_version)


def _fill(template: tasks_pb2.TaskTemplate, spec: AttemptSpec) -> None:
    """The words and the image of its container, as they are for this attempt."""
    if template.HasField("container"):
        container = template.container
        del container.command[:], container.args[:]
        container.command.extend(spec.command)
        container.args.extend(spec.arguments)
        container.image = spec.image or container.image
    elif template.HasField("k8s_pod"):
        for value in template.k8s_pod.pod_spec.fields["containers"].list_value.values:
            named = value.struct_value
            if named["name"] == template.config.get("primary_container_name", "primary"):
                named.update({"command": list(spec.command), "args": list(spec.arguments)})


def _metadata(spec: AttemptSpec) -> agent_pb2.TaskExecutionMetadata:
    identity = spec.identity
    return agent_pb2.TaskExecutionMetadata(
        task_execution_id=_id(identity),
        namespace=f"{identity.project}-{identity.domain}",
        labels=dict(spec.labels),
        annotations=dict(spec.annotations),
        k8s_service_account=spec.service_account,
        environment_variables=dict(spec.env),
        interruptible=spec.interruptible,
        identity=security_pb2.Identity(
            k8s_service_account=spec.service_account,
            iam_role=spec.iam_role,
            execution_identity=identity.user,
        ),
    )


def _id(identity: Identity) -> identifier_pb2.TaskExecutionIdentifier:
    execution = identifier_pb2.WorkflowExecutionIdentifier(
        project=identity.project, domain=identity.domain, name=identity.execution
    )
    task = identifier_pb2.Identifier(
        resource_type=identifier_pb2.TASK,
        project=identity.project,
        domain=identity.domain,
        name=identity.task,
        version=identity.task_version,
    )
    node = identifier_pb2.NodeExecutionIdentifier(node_id=identity.node, execution_id=execution)
    return identifier_pb2.TaskExecutionIdentifier(task_id=task, node_execution_id=node, retry_attempt=identity.attempt)
