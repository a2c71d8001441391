"""The launch form: a field for each input, what queries resolve to right now, and what was typed or chosen instead."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from flyteidl.core import artifact_id_pb2, interface_pb2, literals_pb2, types_pb2

from artifacts.exceptions import CausewayError, InvalidArgument, NotFound, QueryUnresolved
from artifacts.literals import carry, describe_type, from_text, is_optional
from artifacts.models import AliasMove, Artifact, ArtifactVersion
from artifacts.passed_over import PassedOver, passed_over
from artifacts.queries import (
    Resolution,
    broken_by,
    candidates,
    check_keys,
    find,
    matches,
    newest_first,
    version_called,
)
from artifacts.wanted import Wanted, read_query
from console.access_objects import access_version_id, check_present
from console.accounts import access
from console.accounts.access import Action
from console.pages.form_shapes import is_structured, shape_of, skeleton
from console.pages.plans_context import query_in_words
from console.pages.specs import example_of, parameters_of, plan_spec
from console.pages.typed_values import (
    Typed,
    Variant,
    as_typed,
    is_untouched,
    read_control,
    read_typed,
    shown,
    takes_any_text,
    variants_of,
)
from console.pages.version_picker import fitting_versions
from console.uploaded import keep_upload, takes_file
from lineage.models import Via
from scheduler.actions.launch import Resolved
from scheduler.actions.launch_inputs import query_of
from scheduler.models import LaunchPlan, Task

CHOICES_SHOWN = 25
MAX_EDITED, MAX_SHOWN = 100_000, 2_000  # characters; longer values are shown in part, and kept
_ID = re.compile(r"[0-9]{1,18}")
_MULTILINE = ("collection_type", "map_value_type")


@dataclass(frozen=True)
class Field:
    """An input as the form shows it. `is_query`: found by a query unless overridden by a version or a value."""

    name: str
    type: str
    help: str
    text: str
    error: str
    example: str = ""
    variant: str = ""
    variants: tuple[Variant, ...] = ()
    is_query: bool = False
    required: bool = False
    multiline: bool = False
    options: tuple[str, ...] = ()
    query: str = ""
    resolved: ArtifactVersion | None = None
    why: str = ""
    passed: PassedOver | None = None  # newer versions that its query did not find
    problem: str = ""
    chosen: str = ""
    fitting: tuple[ArtifactVersion, ...] = ()  # versions that its query could find
    others: tuple[ArtifactVersion, ...] = ()
    named: str = ""
    override: ArtifactVersion | None = None
    breaks: str = ""  # what its query asks for, of an override that it would not find
    is_anyway: bool = False
    shape: str = ""  # JSON: its parts, for scripts that show them as fields
    takes_file: bool = False
    picked: ArtifactVersion | None = None  # a version that was chosen for an input without a query
    is_locked: bool = False  # too long to be edited: not part of what is sent, and so launched as it is

    @property
    def control(self) -> str:
        return f"in.{self.name}"


class LaunchForm:
    """What was given to a launch plan's inputs so far: by input, `values` as literals, `errors` why one cannot be read,
    and `resolved` those values that are what the form showed as found by a query. `overrides`: versions that were
    chosen instead; `breaks`: what was asked for, of those that it would never find.

    The control of input x is called `in.x`, its variant of a union `in.x.as`, the choice of a version for it
    `in.x.version` (in a list) or `in.x.named` (by version or alias), that it may be one the query would not find
    `in.x.anyway`, and the version that its query was seen to find `in.x.found`.
    """

    def __init__(
        self,
        request: HttpRequest,
        plan: LaunchPlan | Task,
        data: Mapping[str, str],
        earlier: Mapping[str, literals_pb2.Literal] | None = None,
    ) -> None:
        """`earlier`: inputs of an execution that is launched again; those still as they were are not in `values`."""
        self.request, self.plan, self.data = request, plan, data
        self.earlier = earlier or {}
        self.fixed = {} if isinstance(plan, Task) else dict(plan_spec(plan).fixed_inputs.literals)
        self.parameters = {name: p for name, p in sorted(parameters_of(plan).items()) if name not in self.fixed}
        self.values: dict[str, literals_pb2.Literal] = {}
        self.resolved: dict[str, Resolved] = {}
        self.errors: dict[str, str] = {}
        self.overrides: dict[str, ArtifactVersion] = {}
        self.breaks: dict[str, str] = {}
        self._found: list[tuple[Wanted, Resolution | CausewayError]] = []
        # Typed ones first: a query may be bound to them.
        for name, parameter in sorted(self.parameters.items(), key=lambda each: query_of(each[1]) is not None):
            try:
                literal = self._given(name, parameter)
            except CausewayError as error:
                self.errors[name] = error.message
                continue
            if literal is not None:
                self.values[name] = literal

    def fields(self) -> list[Field]:
        """Typed inputs first, then those that a query finds: it may be bound to what was typed."""
        return sorted((self.field(name) for name in self.parameters), key=lambda field: field.is_query)

    def field(self, name: str) -> Field:
        """Raises NotFound for an input the launch plan does not have."""
        parameter = self.parameters.get(name)
        if parameter is None:
            raise NotFound(f"{self.plan} has no input {name}")
        query = query_of(parameter)
        if query is not None:
            return self._query_field(name, parameter, query)
        return self._typed_field(name, parameter)

    def _given(self, name: str, parameter: interface_pb2.Parameter) -> literals_pb2.Literal | None:
        """What was given for the input; None for what nobody touched, which the launch fills in as it was shown."""
        sent, query = read_control(self.data, f"in.{name}"), query_of(parameter)
        if (chosen := self._chosen(name, query)) is not None:
            return self._override(name, chosen, query)
        if (file := self.request.FILES.get(f"in.{name}.upload")) is not None:
            return self._uploaded(name, file)
        if query is not None:
            nothing = sent is None or not sent.text.strip()
            return self._shown_version(name, query) if sent is None or nothing else self._read(name, sent)
        original = self._original(name, parameter)
        if original is not None and self._is_untouched(name, sent, original):
            return None
        if sent is None or self._is_empty(sent, parameter, has_original=original is not None):
            if original is None and not parameter.required:
                return None
            raise InvalidArgument("a value is needed")
        return self._read(name, sent)

    def _chosen(self, name: str, query: artifact_id_pb2.ArtifactQuery | None) -> ArtifactVersion | None:
        """The version that was chosen in the list, or named; InvalidArgument where there is none of that name."""
        picked = self.data.get(f"in.{name}.version", "")
        named = self.data.get(f"in.{name}.named", "").strip()
        if _ID.fullmatch(picked):
            return access_version_id(self.request.user, int(picked))
        if not named or query is None:
            return None
        artifact = self._artifact(self._wanted(query))
        found = version_called(artifact, named) if artifact is not None else None
        if found is None:
            raise InvalidArgument(f"there is no version or alias {named}")
        return found

    def _uploaded(self, name: str, file: Any) -> literals_pb2.Literal:
        """The file that was sent along, kept in the object store; who may not publish here keeps nothing."""
        access.require(self.request.user, Action.PUBLISH, self.plan.project, self.plan.domain)
        uri = keep_upload(file, project=self.plan.project, domain=self.plan.domain)
        return from_text(uri, self.parameters[name].var.type, name=name)

    def _override(
        self, name: str, chosen: ArtifactVersion, query: artifact_id_pb2.ArtifactQuery | None
    ) -> literals_pb2.Literal:
        check_present(chosen)
        self.overrides[name] = chosen
        asked = broken_by(chosen, self._wanted(query)) if query is not None else ""
        if asked:
            self.breaks[name] = asked
            if not self.data.get(f"in.{name}.anyway"):
                raise InvalidArgument(
                    f"{_called(chosen)} is not {asked}, which this input asks for: say below to use it"
                )
        return carry(literals_pb2.Literal.FromString(bytes(chosen.literal)), chosen.pk)

    def _artifact(self, wanted: Wanted) -> Artifact | None:
        """That a query is about, where the user may read it."""
        if not access.can(self.request.user, Action.READ, wanted.project, wanted.domain):
            return None
        return Artifact.objects.filter(project=wanted.project, domain=wanted.domain, name=wanted.name).first()

    def _read(self, name: str, sent: Typed) -> literals_pb2.Literal:
        return read_typed(sent, self.parameters[name].var.type, name=name)

    def _original(self, name: str, parameter: interface_pb2.Parameter) -> literals_pb2.Literal | None:
        """What the form shows before anybody types: what the execution had that is launched again, or the default."""
        if name in self.earlier:
            return self.earlier[name]
        return parameter.default if parameter.WhichOneof("behavior") == "default" else None

    def _is_untouched(self, name: str, sent: Typed | None, original: literals_pb2.Literal) -> bool:
        if sent is None:
            return True
        before = shown(original, self.parameters[name].var.type)
        return is_untouched(sent, before, self.data, f"in.{name}")

    @staticmethod
    def _is_empty(sent: Typed, parameter: interface_pb2.Parameter, *, has_original: bool) -> bool:
        """Whether nothing was given. Where something was shown, its removal gives an empty text, or None."""
        kind = parameter.var.type
        is_blank = not sent.text if takes_any_text(kind) else not sent.text.strip()
        if not is_blank or sent.variant:
            return False
        kinds = (kind, *kind.union_type.variants)
        return not (is_optional(kind) or (has_original and any(map(_may_be_empty, kinds))))

    def _shown_version(self, name: str, query: artifact_id_pb2.ArtifactQuery) -> literals_pb2.Literal | None:
        """The version that the form showed as found, also if another is found by now; None: ask at the launch."""
        seen = self.data.get(f"in.{name}.found", "")
        if self.request.method != "POST" or not _ID.fullmatch(seen):
            return None
        now = self._resolve(query)
        found = now.get("resolved")
        if found is None:
            return None
        if found.pk == int(seen):
            self.resolved[name] = Resolved(Via.QUERY, found, now["why"])
            return carry(literals_pb2.Literal.FromString(bytes(found.literal)), found.pk)
        version = access_version_id(self.request.user, int(seen))
        check_present(version)
        if not _was_found(version, self._wanted(query)):
            return None  # of other inputs: what the query is bound to was changed after it was shown
        self.resolved[name] = Resolved(Via.QUERY, version, f"as the form showed it; {found.version} came since")
        return carry(literals_pb2.Literal.FromString(bytes(version.literal)), version.pk)

    def _common(self, name: str, parameter: interface_pb2.Parameter) -> dict[str, Any]:
        words = parameter.var.description
        return {
            "name": name,
            "type": describe_type(parameter.var.type),
            "example": example_of(parameter.var.type),
            "help": "" if words == name else words,  # flytekit describes an input by its name where nobody else did
            "error": self.errors.get(name, "") if self.request.method == "POST" else "",
        }

    def _typed_field(self, name: str, parameter: interface_pb2.Parameter) -> Field:
        variable_type = parameter.var.type
        common, original = self._common(name, parameter), self._original(name, parameter)
        typed = read_control(self.data, f"in.{name}")
        if typed is None:
            typed = shown(original, variable_type) if original is not None else Typed("")
        if original is not None and f"in.{name}" not in self.data and len(typed.text) > MAX_EDITED:
            return Field(
                **common, text=f"{typed.text[:MAX_SHOWN]} ... ({len(typed.text):,} characters)", is_locked=True
            )
        options = tuple(variable_type.enum_type.values)
        if common["type"] == "bool":
            options = ("true", "false")
        shape = shape_of(variable_type)
        structured = variable_type.WhichOneof("type") in _MULTILINE or variable_type.simple == types_pb2.STRUCT
        if is_structured(shape) and not common["example"]:
            common["example"] = json.dumps(skeleton(shape), indent=1)
        return Field(
            **common,
            text=typed.text,
            variant=typed.variant,
            variants=variants_of(variable_type),
            # A browser must not ask for more than what was there: an empty text is a value.
            required=original is None and parameter.required and not is_optional(variable_type),
            options=options,
            multiline=not options and (structured or "\n" in typed.text),
            shape=json.dumps(shape) if is_structured(shape) else "",
            takes_file=takes_file(variable_type),
            picked=self.overrides.get(name),
        )

    def _query_field(
        self, name: str, parameter: interface_pb2.Parameter, query: artifact_id_pb2.ArtifactQuery
    ) -> Field:
        fitting, others = self._choices(query)
        return Field(
            **self._common(name, parameter),
            **self._resolve(query, may_be_none=is_optional(parameter.var.type)),
            text=self.data.get(f"in.{name}", ""),
            is_query=True,
            query=query_in_words(query),
            chosen=self.data.get(f"in.{name}.version", ""),
            named=self.data.get(f"in.{name}.named", ""),
            override=self.overrides.get(name),
            breaks=self.breaks.get(name, ""),
            is_anyway=bool(self.data.get(f"in.{name}.anyway")),
            fitting=fitting,
            others=others,
        )

    def fitting(self, name: str, text: str) -> tuple[Sequence[ArtifactVersion], str]:
        """Versions that the input takes and a search finds, and what is wrong with that. NotFound as for field."""
        parameter = self.parameters.get(name)
        if parameter is None:
            raise NotFound(f"{self.plan} has no input {name}")
        query = query_of(parameter)
        try:
            wanted = self._wanted(query) if query is not None else None
        except CausewayError as error:
            return [], error.message
        return fitting_versions(self.request, self.plan, parameter.var.type, text, wanted)

    @property
    def typed(self) -> dict[str, str]:
        """What was typed, by input, as REST and the command line take it."""
        texts = {name: self.data.get(f"in.{name}", "") for name in self.values if name not in self.overrides}
        return {name: as_typed(text) for name, text in texts.items() if text and name not in self.resolved}

    def _wanted(self, query: artifact_id_pb2.ArtifactQuery) -> Wanted:
        defaults = {name: p.default for name, p in self.parameters.items() if p.WhichOneof("behavior") == "default"}
        inputs = defaults | dict(self.earlier) | self.values | self.fixed
        return read_query(query, project=self.plan.project, domain=self.plan.domain, inputs=inputs)

    def _resolve(self, query: artifact_id_pb2.ArtifactQuery, *, may_be_none: bool = False) -> dict[str, Any]:
        may_read = access.may_read(self.request.user)
        try:
            wanted = self._wanted(query)
            if not may_read(wanted.project, wanted.domain):  # what is or is not there is not told to strangers either
                return {"problem": f"it asks in {wanted.project}/{wanted.domain}, where you may not read"}
            found = self._find(wanted)
        except CausewayError as error:
            if not isinstance(error, QueryUnresolved):
                return {"problem": error.message}
            none = "; launched so, the input is None" if may_be_none else ""
            artifact = self._artifact(wanted)
            passed = passed_over(artifact, wanted, None) if artifact is not None else None
            return {"problem": error.message + none, "passed": passed}
        passed = passed_over(found.version.artifact, wanted, found.version)
        return {"resolved": found.version, "why": found.explanation, "passed": passed}

    def _find(self, wanted: Wanted) -> Resolution:
        """Asked once: what is shown of a query and what is launched with do not come from two moments."""
        answer = next((answer for asked, answer in self._found if asked == wanted), None)
        if answer is None:
            try:
                answer = find(wanted, may_read=access.may_read(self.request.user))
            except CausewayError as error:
                answer = error
            self._found.append((wanted, answer))
        if isinstance(answer, CausewayError):
            raise answer
        return answer

    def _choices(
        self, query: artifact_id_pb2.ArtifactQuery
    ) -> tuple[tuple[ArtifactVersion, ...], tuple[ArtifactVersion, ...]]:
        """What Override offers: the newest versions that fit, and the newest of the others."""
        try:
            wanted = self._wanted(query)
            artifact = self._artifact(wanted)
            if artifact is None:
                return (), ()
            check_keys(artifact, wanted)
        except CausewayError:
            return (), ()
        fitting = self._newest(artifact, candidates(artifact, wanted))
        rest = ArtifactVersion.objects.filter(artifact=artifact).exclude(pk__in=[row.pk for row in fitting])
        narrowed = bool(wanted.conditions())
        return fitting, self._newest(artifact, rest) if narrowed else ()

    @staticmethod
    def _newest(artifact: Artifact, rows: QuerySet[ArtifactVersion]) -> tuple[ArtifactVersion, ...]:
        found = tuple(newest_first(rows.defer("literal", "literal_type", "card", "terms"))[:CHOICES_SHOWN])
        for row in found:
            row.artifact = artifact
        return found


def _called(version: ArtifactVersion) -> str:
    told = ", ".join(f"{key}={value}" for key, value in version.shown_partitions)
    return f"{version.artifact.name} {version.version}" + (f" ({told})" if told else "")


def _was_found(version: ArtifactVersion, wanted: Wanted) -> bool:
    """Whether the version is one that was wanted until another took its place."""
    if not matches(version, replace(wanted, alias="")):
        return False
    moves = AliasMove.objects.filter(artifact=version.artifact, name=wanted.alias, from_version=version)
    return wanted.alias in ("", "latest") or moves.exists()


def _may_be_empty(literal_type: types_pb2.LiteralType) -> bool:
    return takes_any_text(literal_type) or "" in literal_type.enum_type.values
