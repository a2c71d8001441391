"""The inputs of a triggered launch: found in the triggering version, by queries, or constant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from flyteidl.core import artifact_id_pb2, interface_pb2, literals_pb2, types_pb2

from artifacts import literals
from artifacts.exceptions import InvalidArgument, QueryUnresolved
from artifacts.models import ArtifactVersion
from artifacts.partitions import format_time
from artifacts.queries import find, matches
from artifacts.wanted import Wanted, inputs_asked, read_artifact_id, read_query, triggered_text, triggered_time
from lineage.models import Via
from scheduler.actions.launch_inputs import Resolved
from scheduler.authority import Action, Authority
from scheduler.triggers.plan import TriggerPlan


@dataclass(frozen=True)
class Fired:
    """What fires: the version, and of a trigger on several artifacts the version of each, by its source's position."""

    version: ArtifactVersion
    members: Mapping[int, ArtifactVersion] = field(default_factory=dict)

    def versions(self) -> list[ArtifactVersion]:
        """All of them once, the triggering one first."""
        return list({one.pk: one for one in (self.version, *self.members.values())}.values())


@dataclass
class TriggerInputs:
    """`inputs` for the launch; `notes` say how each was found; `unresolved` why some were not, and `lacks` of what.

    `versions` are the inputs that are artifact versions, as the launch records them; `reads` is on whose authority.
    """

    reads: Authority
    inputs: literals_pb2.LiteralMap = field(default_factory=literals_pb2.LiteralMap)
    versions: dict[str, Resolved] = field(default_factory=dict)
    notes: dict[str, dict[str, object]] = field(default_factory=dict)
    unresolved: list[str] = field(default_factory=list)
    lacks: list[str] = field(default_factory=list)


def resolve_inputs(plan: TriggerPlan, fired: Fired, authority: Authority) -> TriggerInputs:
    """Everything the trigger fills in. InvalidArgument: it can never be resolved for this version; PermissionDenied: a
    query leads to where the principal may not read.
    """
    resolved = TriggerInputs(reads=authority)
    known = dict(plan.constants)
    waiting = dict(plan.sources)
    while waiting:
        ready = [name for name, parameter in waiting.items() if set(_bound_inputs(parameter)) <= set(known)]
        if not ready:
            break
        for name in ready:
            literal = _resolve_one(plan, name, waiting.pop(name), fired, known, resolved)
            if literal is not None:
                known[name] = literal
                resolved.inputs.literals[name].CopyFrom(literal)
    if waiting and not resolved.unresolved:
        raise InvalidArgument(f"the queries of {', '.join(sorted(waiting))} are bound to inputs that have no value")
    return resolved


def _bound_inputs(parameter: interface_pb2.Parameter) -> Iterator[str]:
    if parameter.HasField("artifact_query"):
        return inputs_asked(parameter.artifact_query)
    return inputs_asked(artifact_id_pb2.ArtifactQuery(artifact_id=parameter.artifact_id))


def _resolve_one(
    plan: TriggerPlan,
    name: str,
    parameter: interface_pb2.Parameter,
    fired: Fired,
    known: dict[str, literals_pb2.Literal],
    resolved: TriggerInputs,
) -> literals_pb2.Literal | None:
    if parameter.HasField("default"):
        resolved.notes[name] = {"via": "constant"}
        return literals.without_marks(parameter.default)
    query = parameter.artifact_query
    position = plan.spec.members.get(name)
    version = fired.members.get(position, fired.version) if position is not None else fired.version
    if query.WhichOneof("identifier") == "binding":
        return _from_binding(name, parameter.var.type, query.binding, version, resolved)
    around = {"project": plan.launch_plan.project, "domain": plan.launch_plan.domain}
    wanted = (
        read_query(query, **around, inputs=known, trigger=version)
        if parameter.HasField("artifact_query")
        else read_artifact_id(parameter.artifact_id, **around, inputs=known, trigger=version)
    )
    return _from_query(name, wanted, fired, resolved, plan.fallbacks.get(name))


def _from_query(
    name: str, wanted: Wanted, fired: Fired, resolved: TriggerInputs, fallback: literals_pb2.Literal | None
) -> literals_pb2.Literal | None:
    """The triggering version, or another of its round, if it is what the query asks for; else the newest that is.

    Where there is none, the fallback: a chain over its own yesterday could not begin otherwise. Without one it waits.
    """
    place = (wanted.project, wanted.domain)
    resolved.reads.require(Action.READ, [place], what=f", where input '{name}' is queried from")
    for version in fired.versions():
        if matches(version, wanted):
            what = "the triggering version" if version is fired.version else "a version of the round that fired"
            return _take(name, version, Via.TRIGGER, f"{what}, which satisfies the query", resolved)
    try:
        found, explanation = find(wanted, may_read=resolved.reads.reads)
    except QueryUnresolved as error:
        if fallback is not None:
            what = "None" if literals.to_json(fallback) is None else "the launch plan's default"
            resolved.notes[name] = {"via": "default", "explanation": f"{what}, because {error.message}"}
            return literals.without_marks(fallback)
        resolved.unresolved.append(f"{name}: {error.message}")
        resolved.lacks.append(f"{wanted.project}/{wanted.domain}/{wanted.name}")
        return None
    return _take(name, found, Via.QUERY, explanation, resolved)


def _take(
    name: str, version: ArtifactVersion, via: Via, explanation: str, resolved: TriggerInputs
) -> literals_pb2.Literal:
    resolved.versions[name] = Resolved(via, version, explanation)
    resolved.notes[name] = {
        "via": via.value,
        "artifact": str(version.artifact),
        "version": version.version,
        "version_id": version.pk,
        "explanation": explanation,
    }
    literal = literals_pb2.Literal.FromString(bytes(version.literal))
    return literals.carry(literal, version.pk) if version.pk is not None else literal  # None: of a preview


def _from_binding(
    name: str,
    literal_type: types_pb2.LiteralType,
    binding: artifact_id_pb2.ArtifactBindingData,
    version: ArtifactVersion,
    resolved: TriggerInputs,
) -> literals_pb2.Literal:
    if binding.WhichOneof("partition_data") is None:
        return _take(name, version, Via.TRIGGER, "the triggering version", resolved)
    if binding.WhichOneof("partition_data") == "partition_key" and not binding.HasField("time_transform"):
        text = triggered_text(binding, version)
        resolved.notes[name] = {
            "via": "partition",
            "explanation": f"partition {binding.partition_key} of the triggering version",
        }
        return literals.from_json(_as_json(text, literal_type), literal_type, name=name)
    moment = format_time(triggered_time(binding, version))
    resolved.notes[name] = {"via": "time_partition", "explanation": f"from the triggering version: {moment}"}
    return literals.from_json(moment, literal_type, name=name)


def _as_json(text: str, literal_type: types_pb2.LiteralType) -> object:
    """A partition value is text; a number or boolean input takes what the text says."""
    simple = literal_type.simple if literal_type.WhichOneof("type") == "simple" else None
    try:
        if simple == types_pb2.INTEGER:
            return int(text)
        if simple == types_pb2.FLOAT:
            return float(text)
    except ValueError:
        return text  # refused with the input's name when it becomes a literal
    if simple == types_pb2.BOOLEAN and text in ("true", "false"):
        return text == "true"
    return text
