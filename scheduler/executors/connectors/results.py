"""What a service's word on a job means for the attempt: as Flyte 1.16.8 reads it, and with what the job's files say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flyteidl.admin import agent_pb2
from flyteidl.core import execution_pb2, literals_pb2
from google.protobuf import json_format

from artifacts.store import ObjectStore
from scheduler.attempts.judge import Showing, told_by_files
from scheduler.attempts.outcomes import SYSTEM, USER, Outcome, failure
from scheduler.phases import AttemptPhase
from scheduler.uris import OUTPUTS

Phase = execution_pb2.TaskExecution
FAILED_WITH_ERROR = "TaskFailedWithError"  # Flyte's word for what a service says has failed
MOST_LINKS, LONGEST_LINK = 20, 2000
LARGEST_INFO = 64 * 1024  # letters of JSON
ENDED = frozenset({AttemptPhase.SUCCEEDED, AttemptPhase.FAILED, AttemptPhase.RETRYABLE_FAILED, AttemptPhase.ABORTED})
_OF_STATE = {  # services that are older than the phase
    agent_pb2.PENDING: AttemptPhase.INITIALIZING,
    agent_pb2.RUNNING: AttemptPhase.RUNNING,
    agent_pb2.SUCCEEDED: AttemptPhase.SUCCEEDED,
    agent_pb2.PERMANENT_FAILURE: AttemptPhase.FAILED,
    agent_pb2.RETRYABLE_FAILURE: AttemptPhase.RETRYABLE_FAILED,
}


def phase_of(resource: agent_pb2.Resource) -> AttemptPhase:
    """Nothing said at all is a failure that may be repeated, as in Flyte."""
    if resource.phase != Phase.UNDEFINED:
        return AttemptPhase(resource.phase)
    return _OF_STATE.get(resource.state, AttemptPhase.RETRYABLE_FAILED)


def links_of(resource: agent_pb2.Resource) -> tuple[tuple[str, str], ...]:
    """Name and address of each; what is no web address is none that anybody should follow."""
    found = ((one.name or one.uri, one.uri) for one in resource.log_links)
    kept = [(name[:200], uri) for name, uri in found if uri.startswith(("https://", "http://"))]
    return tuple(link for link in kept[:MOST_LINKS] if len(link[1]) <= LONGEST_LINK)


def info_of(resource: agent_pb2.Resource) -> Mapping[str, Any]:
    if not resource.HasField("custom_info"):
        return {}
    text = json_format.MessageToJson(resource.custom_info, indent=None)
    if len(text) > LARGEST_INFO:
        return {"info": f"{text[:1000]} ... ({len(text)} letters)"}
    found: dict[str, Any] = json_format.MessageToDict(resource.custom_info)
    return found


def outcome_of(
    resource: agent_pb2.Resource, prefix: str, declared: Sequence[str], store: ObjectStore, *, max_deck_bytes: int = 0
) -> Outcome:
    """Of one that has ended. Its outputs are written where they came with the answer. Raises what the store raises."""
    phase = phase_of(resource)
    if phase != AttemptPhase.SUCCEEDED:
        told = told_by_files(prefix, store, Showing(), max_deck_bytes=max_deck_bytes)
        return told if told is not None and told.phase == AttemptPhase.FAILED else _failed(resource, phase)
    if resource.HasField("outputs"):
        lacking = sorted(set(declared) - set(resource.outputs.literals))
        if lacking:
            said = f"the job succeeded, and its connector gave no output {lacking[0]!r}"
            return failure("OutputsNotFound", said, USER, retryable=False)
        _write(resource.outputs, prefix, store)
    told = told_by_files(prefix, store, Showing(), max_deck_bytes=max_deck_bytes)
    if told is None and not declared:
        _write(literals_pb2.LiteralMap(), prefix, store)
        told = told_by_files(prefix, store, Showing(), max_deck_bytes=max_deck_bytes)
    if told is not None:
        return told
    said = f"the job succeeded, but neither its connector nor the job itself gave its outputs: {', '.join(declared)}"
    return failure("OutputsNotFound", said, USER, retryable=False)


def _write(outputs: literals_pb2.LiteralMap, prefix: str, store: ObjectStore) -> None:
    store.put(store.join(prefix, OUTPUTS), outputs.SerializeToString())


def _failed(resource: agent_pb2.Resource, phase: AttemptPhase) -> Outcome:
    error = resource.agent_error
    said = resource.message.strip() or "the connector gave no reason"
    if phase == AttemptPhase.ABORTED:
        said = f"the job was aborted where it ran: {said}"
    kind = SYSTEM if error.origin == execution_pb2.ExecutionError.SYSTEM else USER
    may_repeat = phase == AttemptPhase.RETRYABLE_FAILED or error.kind == agent_pb2.AgentError.RECOVERABLE
    return failure(error.code or FAILED_WITH_ERROR, said, kind, retryable=may_repeat)
