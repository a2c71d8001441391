"""The inputs of a launch: what was given, with defaults, fixed values and artifact queries filled in, all checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypedDict

from flyteidl.core import artifact_id_pb2, interface_pb2, literals_pb2

from artifacts.exceptions import InvalidArgument, PermissionDenied, QueryUnresolved
from artifacts.literals import (
    carried,
    carry,
    check_literal,
    describe_type,
    digest,
    from_json,
    is_optional,
    parts,
    unmarked,
    without_marks,
)
from artifacts.literals.identity import CARRIED_KEY
from artifacts.models import ArtifactVersion
from artifacts.places import places_in
from artifacts.queries import MayRead, broken_by, resolve_query
from artifacts.store import store
from artifacts.wanted import read_query
from lineage.models import Via
from scheduler.actions.folders import mean_folders
from scheduler.authority import Action, Authority


class _Around(TypedDict):
    project: str
    domain: str
    trigger: ArtifactVersion | None
    may_read: MayRead


@dataclass(frozen=True)
class Resolved:
    """How an input came to be an artifact version, told by who found it."""

    via: Via
    version: ArtifactVersion  # with its artifact
    explanation: str = ""


class _Entry(TypedDict):
    via: str
    artifact: str  # project/domain/name
    version: str
    version_id: int
    explanation: str


class ResolutionEntry(_Entry, total=False):
    outside: str  # what the input's query asks for, of a version that was given although it is none of these


@dataclass
class Gathered:
    inputs: literals_pb2.LiteralMap = field(default_factory=literals_pb2.LiteralMap)
    resolved: dict[str, Resolved] = field(default_factory=dict)
    outside: dict[str, str] = field(default_factory=dict)  # by input, as ResolutionEntry

    def as_json(self) -> dict[str, ResolutionEntry]:
        return {name: self._entry(name, one) for name, one in sorted(self.resolved.items())}

    def _entry(self, name: str, one: Resolved) -> ResolutionEntry:
        entry = ResolutionEntry(
            via=one.via.value,
            artifact=str(one.version.artifact),
            version=one.version.version,
            version_id=one.version.pk,
            explanation=one.explanation,
        )
        if name in self.outside:
            entry["outside"] = self.outside[name]
        return entry


def gather(
    given: Mapping[str, literals_pb2.Literal],
    *,
    expected: interface_pb2.ParameterMap,
    fixed: literals_pb2.LiteralMap,
    project: str,
    domain: str,
    trigger: ArtifactVersion | None,
    resolved: Mapping[str, Resolved],
    via: Via,
    authority: Authority,
) -> Gathered:
    """Raises InvalidArgument naming every input that is unknown, fixed, missing or of the wrong type.

    Constants come first, so that a query's partitions may be bound to them. `project` and `domain` are what a query
    without its own means; `via` is how a version got here that the given literals carry. PermissionDenied when a query,
    a version or an object of our store lies where the one who launches may not read.
    """
    parameters = expected.parameters
    given = {name: literal for name, literal in given.items() if not _says_query(literal, parameters.get(name))}
    _check_given(given, parameters, fixed)
    gathered = Gathered()
    literals = gathered.inputs.literals
    for name, literal in given.items():
        literals[name].CopyFrom(literal)
        mean_folders(literals[name], store())
    for name, literal in fixed.literals.items():
        literals[name].CopyFrom(without_marks(literal))
    queries: dict[str, artifact_id_pb2.ArtifactQuery] = {}
    for name, parameter in parameters.items():
        if name in given:
            continue
        behavior = parameter.WhichOneof("behavior")
        if behavior == "default":
            literals[name].CopyFrom(without_marks(parameter.default))
        elif (query := query_of(parameter)) is not None:
            queries[name] = query
    for name, one in resolved.items():
        if name in given and authority.reads(*one.version.artifact.key[:2]):
            gathered.resolved[name] = one
    _trace_carried(gathered, given, trigger=trigger, via=via, may_read=authority.reads)
    if via is not Via.LITERAL:  # what a parent hands on was computed by an execution of the same principal
        _check_objects(gathered, authority)
    for name in sorted(queries):
        _check_readable(name, queries[name], gathered, (project, domain), trigger, authority.reads)
        around: _Around = {"project": project, "domain": domain, "trigger": trigger, "may_read": authority.reads}
        _resolve(gathered, name, queries[name], parameters[name], around)
    _mark_outside(gathered, parameters, project=project, domain=domain, trigger=trigger)
    return gathered


def query_of(parameter: interface_pb2.Parameter) -> artifact_id_pb2.ArtifactQuery | None:
    """The query that finds the input unless something is given: one for a certain artifact included."""
    behavior = parameter.WhichOneof("behavior")
    if behavior == "artifact_query":
        return parameter.artifact_query
    return artifact_id_pb2.ArtifactQuery(artifact_id=parameter.artifact_id) if behavior == "artifact_id" else None


def _mark_outside(
    gathered: Gathered,
    parameters: Mapping[str, interface_pb2.Parameter],
    *,
    project: str,
    domain: str,
    trigger: ArtifactVersion | None,
) -> None:
    """Somebody may feed an input what its query would never find, data of LAX for a model of SEA: the run says so."""
    inputs = dict(gathered.inputs.literals.items())
    for name, one in gathered.resolved.items():
        query = query_of(parameters[name]) if one.via is Via.OVERRIDE and name in parameters else None
        if query is None:
            continue
        try:
            wanted = read_query(query, project=project, domain=domain, inputs=inputs, trigger=trigger)
        except InvalidArgument:  # bound to what there is nothing of: then nothing is asked for
            continue
        if asked := broken_by(one.version, wanted):
            gathered.outside[name] = asked


def _says_query(literal: literals_pb2.Literal, parameter: interface_pb2.Parameter | None) -> bool:
    """Whether a text only says that the input's default is a query.

    `pyflyte run` gives that for an input that was left out (flytekit.core.artifact.ArtifactQuery.__str__): its command
    line makes text of the defaults of text options.
    """
    if parameter is None or parameter.WhichOneof("behavior") != "artifact_query":
        return False
    name = parameter.artifact_query.artifact_id.artifact_key.name
    return bool(name) and literal.scalar.primitive.string_value == f"Artifact Query: on {name}"


def _check_given(
    given: Mapping[str, literals_pb2.Literal],
    parameters: Mapping[str, interface_pb2.Parameter],
    fixed: literals_pb2.LiteralMap,
) -> None:
    problems = []
    for name, literal in sorted(given.items()):
        if name in fixed.literals:
            problems.append(f'input "{name}" is fixed by the launch plan and cannot be overridden')
        elif name not in parameters:
            problems.append(f'invalid input "{name}"; the inputs are: {_spell(parameters)}')
        else:
            try:
                check_literal(literal, parameters[name].var.type, name=name)
            except InvalidArgument as error:
                problems.append(error.message)
    missing = [name for name, parameter in parameters.items() if parameter.required and name not in given]
    if missing:
        problems.append(f"missing required inputs: {_spell({name: parameters[name] for name in missing})}")
    if problems:
        raise InvalidArgument("; ".join(problems), detail=problems)


def _spell(parameters: Mapping[str, interface_pb2.Parameter]) -> str:
    named = (f"{name} ({describe_type(parameters[name].var.type)})" for name in sorted(parameters))
    return ", ".join(named) or "none"


def _check_objects(gathered: Gathered, authority: Authority) -> None:
    """Files and offloaded values in our store that the inputs name must be for the launching one to read: his name
    will stand on what reads them.

    What a version holds is for all its readers, wherever it lies.
    """
    for name, literal in gathered.inputs.literals.items():
        if name not in gathered.resolved:
            places = {place for part in unmarked(literal) for place in places_in(part)}
            authority.require(Action.READ, sorted(places), what=f', where a value of input "{name}" lies')


def _trace_carried(
    gathered: Gathered, given: Iterable[str], *, trigger: ArtifactVersion | None, via: Via, may_read: MayRead
) -> None:
    """Finds the versions that given literals, or anything inside them, say they came from.

    A mark that is not true of the value, or that leads to where the launching one may not read, is taken off.
    """
    literals = gathered.inputs.literals
    claims = [
        (name, part)
        for name in given
        if name not in gathered.resolved
        for part in parts(literals[name])
        if CARRIED_KEY in part.metadata
    ]
    if not claims:
        return
    known: dict[int, ArtifactVersion] = {trigger.pk: trigger} if trigger else {}
    unknown = {pk for _, part in claims if (pk := carried(part)) is not None} - set(known)
    if unknown:
        known.update(ArtifactVersion.objects.select_related("artifact").in_bulk(unknown))
    for _, part in claims:
        version = known.get(carried(part) or 0)
        if version is None or not may_read(*version.artifact.key[:2]) or not _is_value_of(part, version):
            part.metadata.pop(CARRIED_KEY, None)
    for name in dict(claims):
        version = known.get(carried(literals[name]) or 0)
        if version is not None:
            is_trigger = trigger is not None and version.pk == trigger.pk
            explanation = "the triggering version" if is_trigger else _EXPLANATIONS.get(via, "")
            gathered.resolved[name] = Resolved(Via.TRIGGER if is_trigger else via, version, explanation)


_EXPLANATIONS = {Via.OVERRIDE: "given at launch", Via.LITERAL: "passed on by the parent execution"}


def _is_value_of(literal: literals_pb2.Literal, version: ArtifactVersion) -> bool:
    return digest(_bare(literal)) == digest(_bare(literals_pb2.Literal.FromString(bytes(version.literal))))


def _bare(literal: literals_pb2.Literal) -> literals_pb2.Literal:
    """What an optional value holds: it may have been wrapped on one side only."""
    while literal.scalar.HasField("union"):
        literal = literal.scalar.union.value
    return literal


def _check_readable(
    name: str,
    query: artifact_id_pb2.ArtifactQuery,
    gathered: Gathered,
    home: tuple[str, str],
    trigger: ArtifactVersion | None,
    may_read: MayRead,
) -> None:
    """Before anything is looked up: whether the artifact exists is not told to strangers either."""
    inputs = dict(gathered.inputs.literals.items())
    wanted = read_query(query, project=home[0], domain=home[1], inputs=inputs, trigger=trigger)
    if not may_read(wanted.project, wanted.domain):
        raise PermissionDenied(
            f'input "{name}" is queried from {wanted.name} in {wanted.project}/{wanted.domain}, which you may not '
            "read: give a value for it, or ask for the role viewer there"
        )


def _resolve(
    gathered: Gathered,
    name: str,
    query: artifact_id_pb2.ArtifactQuery,
    parameter: interface_pb2.Parameter,
    around: _Around,
) -> None:
    literals = gathered.inputs.literals
    try:
        version, explanation = resolve_query(query, inputs=dict(literals.items()), **around)
    except QueryUnresolved as error:
        if is_optional(parameter.var.type):  # as Flyte's trigger engine: nothing found is None where None is allowed
            literals[name].CopyFrom(from_json(None, parameter.var.type, name=name))
            return
        raise QueryUnresolved(f'input "{name}": {error.message}', detail=error.detail) from None
    except InvalidArgument as error:
        raise InvalidArgument(f'input "{name}": {error.message}', detail=error.detail) from None
    literal = carry(literals_pb2.Literal.FromString(bytes(version.literal)), version.pk)
    check_literal(literal, parameter.var.type, name=name)
    literals[name].CopyFrom(literal)
    gathered.resolved[name] = Resolved(Via.QUERY, version, explanation)
