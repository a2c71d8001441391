"""What a dynamic task wrote at run time, compiled like a registered workflow."""

from __future__ import annotations

from flyteidl.core import compiler_pb2, dynamic_job_pb2, identifier_pb2, interface_pb2, workflow_pb2

from scheduler.compiler.requirements import Available, Requirements, key_of, requirements_of
from scheduler.compiler.workflow import compile_closure


def template_of(
    spec: dynamic_job_pb2.DynamicJobSpec,
    *,
    identifier: identifier_pb2.Identifier,
    outputs: interface_pb2.VariableMap,
) -> workflow_pb2.WorkflowTemplate:
    """The spec as a workflow without inputs, whose outputs are those of the task that wrote it."""
    return workflow_pb2.WorkflowTemplate(
        id=identifier,
        interface=interface_pb2.TypedInterface(outputs=outputs),
        nodes=spec.nodes,
        outputs=spec.outputs,
    )


def requirements_of_dynamic(spec: dynamic_job_pb2.DynamicJobSpec) -> Requirements:
    """What has to be looked up in the registry: all but the tasks that the spec brings."""
    needs = requirements_of([workflow_pb2.WorkflowTemplate(nodes=spec.nodes), *spec.subworkflows])
    needs.tasks -= {key_of(task.id) for task in spec.tasks}
    return needs


def compile_dynamic(
    spec: dynamic_job_pb2.DynamicJobSpec,
    *,
    identifier: identifier_pb2.Identifier,
    outputs: interface_pb2.VariableMap,
    registered: Available,
) -> compiler_pb2.CompiledWorkflowClosure:
    """Raises InvalidArgument with everything that is wrong. `registered` answers `requirements_of_dynamic(spec)`."""
    tasks = {**registered.tasks, **{key_of(task.id): task for task in spec.tasks}}
    available = Available(tasks, registered.launch_plans, registered.workflows, registered.unreadable)
    template = template_of(spec, identifier=identifier, outputs=outputs)
    return compile_closure(template, spec.subworkflows, available)
