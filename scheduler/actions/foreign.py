"""Which other projects the artifacts lie in that a registration reads or publishes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from flyteidl.admin import launch_plan_pb2
from flyteidl.core import artifact_id_pb2, interface_pb2

from artifacts.addresses import parse_address
from artifacts.places import places_in
from artifacts.wire import more_of_query
from scheduler.authority import Place
from scheduler.triggers.parse import trigger_from


def read_by_plan(spec: launch_plan_pb2.LaunchPlanSpec, *, project: str, domain: str) -> list[Place]:
    """Other places whose artifacts a launch plan watches, or asks for in default or trigger inputs, or whose objects in
    our store its constant inputs name.

    InvalidArgument for a trigger, query or address that is none.
    """
    found: set[Place] = set()
    parameters = list(spec.default_inputs.parameters.values())
    constants = list(spec.fixed_inputs.literals.values())
    if spec.entity_metadata.HasField("launch_conditions"):
        trigger = trigger_from(spec.entity_metadata.launch_conditions, project=project, domain=domain)
        found.update((source.project, source.domain) for source in trigger.sources)
        parameters += trigger.inputs.values()
    for key in _keys(parameters):
        found.add((key.project or project, key.domain or domain))
    constants += [parameter.default for parameter in parameters if parameter.HasField("default")]
    found.update(place for literal in constants for place in places_in(literal))
    return sorted(found - {(project, domain)})


def _keys(parameters: Iterable[interface_pb2.Parameter]) -> Iterator[artifact_id_pb2.ArtifactKey]:
    for parameter in parameters:
        query = parameter.artifact_query
        kind = query.WhichOneof("identifier")
        if kind == "uri":
            address = parse_address(query.uri)
            yield artifact_id_pb2.ArtifactKey(project=address.project, domain=address.domain)
        elif kind == "artifact_tag":
            yield query.artifact_tag.artifact_key
        elif kind == "artifact_id":
            more_of_query(query)
            yield query.artifact_id.artifact_key
        elif parameter.WhichOneof("behavior") == "artifact_id":
            yield parameter.artifact_id.artifact_key


def written_by(outputs: interface_pb2.VariableMap, *, project: str, domain: str) -> list[Place]:
    """Other places into whose artifacts the outputs are published."""
    found = set()
    for variable in outputs.variables.values():
        if variable.HasField("artifact_partial_id"):
            key = variable.artifact_partial_id.artifact_key
            found.add((key.project or project, key.domain or domain))
    return sorted(found - {(project, domain)})
