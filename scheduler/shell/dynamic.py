"""What a dynamic task returned instead of outputs: compiled, stored, and run below its node."""

from __future__ import annotations

from flyteidl.core import dynamic_job_pb2, identifier_pb2, tasks_pb2
from google.protobuf.message import DecodeError

from artifacts.exceptions import CausewayError
from artifacts.store import store
from scheduler import graphs
from scheduler.authority import Action, Authority
from scheduler.compiler.dynamic import compile_dynamic, requirements_of_dynamic
from scheduler.compiler.lookup import load
from scheduler.compiler.requirements import places_of
from scheduler.engine.graph import Scope
from scheduler.shell.data import Unresolved


def compile_futures(uri: str, task: tasks_pb2.TaskTemplate, *, to: str, authority: Authority) -> Scope:
    """The graph of the spec at `uri`; its compiled closure is kept at `to`.

    Unresolved if the spec does not compile, or refers to what the principal of the execution may not read.
    """
    try:
        spec = dynamic_job_pb2.DynamicJobSpec.FromString(store().get(uri))
        identifier = identifier_pb2.Identifier()
        identifier.CopyFrom(task.id)
        identifier.resource_type = identifier_pb2.WORKFLOW
        registered = load(requirements_of_dynamic(spec), authority)
        closure = compile_dynamic(spec, identifier=identifier, outputs=task.interface.outputs, registered=registered)
        places = sorted(places_of(closure))  # tasks that the spec brings itself may bear any name
        authority.require(Action.READ, places, what=", where something in it says it comes from")
    except DecodeError:
        raise Unresolved(
            f"what the dynamic task wrote at {uri} is no dynamic job spec", "DynamicSpecUnreadable"
        ) from None
    except CausewayError as error:
        message = f"the workflow that the dynamic task returned does not compile: {error.message}"
        raise Unresolved(message, "DynamicWorkflowBuildFailed") from None
    store().put(to, closure.SerializeToString(deterministic=True))
    return graphs.dynamic_scope(to)
