"""The launch form: a field for each input, what queries resolve to right now, and what was typed or chosen instead."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from flyteidl.core import artifact_id_pb2, interface_pb2, literals_pb2, types_pb2

from artifacts.exceptions import CausewayError, InvalidArgument, NotFound, QueryUnresolved
from artifacts.literals import carry, describe_type, from_text, is_optional, to_json
from artifacts.models import ArtifactVersion
from artifacts.queries import find
from artifacts.wanted import read_query
from console.access_objects import access_version_id
from console.accounts import access
from console.pages.plans_context import query_in_words
from console.pages.specs import example_of, expected_inputs, plan_spec
from scheduler.models import LaunchPlan

CHOICES_SHOWN = 25


@dataclass(frozen=True)
class Field:
    """An input as the form shows it. `is_query`: found by a query unless overridden by a version or a value."""

    name: str
    type: str
    help: str
    text: str
    error: str
    example: str = ""
    is_query: bool = False
    required: bool = False
    multiline: bool = False
    options: tuple[str, ...] = ()
    query: str = ""
    resolved: ArtifactVersion | None = None
    why: str = ""
    problem: str = ""
    chosen: str = ""
    choices: tuple[ArtifactVersion, ...] = ()


class LaunchForm:
    """What was given to a launch plan's inputs so far: by input, `values` as literals, `errors` why one cannot be read.

    The control of input x is called `in.x`, the choice of a version for it `in.x.version`.
    """

    def __init__(
        self,
        request: HttpRequest,
        plan: LaunchPlan,
        data: Mapping[str, str],
        earlier: Mapping[str, literals_pb2.Literal] | None = None,
    ) -> None:
        """`earlier`: inputs of an execution that is launched again; those still as they were are not in `values`."""
        self.request, self.plan, self.data = request, plan, data
        self.earlier = earlier or {}
        self.fixed = dict(plan_spec(plan).fixed_inputs.literals)
        self.parameters = {name: p for name, p in sorted(expected_inputs(plan).items()) if name not in self.fixed}
        self.values: dict[str, literals_pb2.Literal] = {}
        self.errors: dict[str, str] = {}
        for name, parameter in self.parameters.items():
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
        if parameter.WhichOneof("behavior") == "artifact_query":
            return self._query_field(name, parameter)
        return self._typed_field(name, parameter)

    def _given(self, name: str, parameter: interface_pb2.Parameter) -> literals_pb2.Literal | None:
        text, version = self.data.get(f"in.{name}", "").strip(), self.data.get(f"in.{name}.version", "")
        if version.isdigit():
            chosen = access_version_id(self.request.user, int(version))
            return carry(literals_pb2.Literal.FromString(bytes(chosen.literal)), chosen.pk)
        which = parameter.WhichOneof("behavior")
        if name in self.earlier and which != "artifact_query" and text == self._earlier_text(name, parameter).strip():
            return None
        is_text = parameter.var.type.simple == types_pb2.STRING and parameter.var.type.HasField("simple")
        if not text and not (is_text and which == "default" and f"in.{name}" in self.data):
            if which in ("default", "artifact_query", "artifact_id") or not parameter.required:
                return None
            raise InvalidArgument("a value is needed")
        return from_text(text, parameter.var.type, name=name)

    def _earlier_text(self, name: str, parameter: interface_pb2.Parameter) -> str:
        return _editable(to_json(self.earlier[name], parameter.var.type))

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
        variable_type, which = parameter.var.type, parameter.WhichOneof("behavior")
        common = self._common(name, parameter)
        text = self.data.get(f"in.{name}")
        if text is None and name in self.earlier:
            text = self._earlier_text(name, parameter)
        elif text is None:
            text = _editable(to_json(parameter.default, variable_type)) if which == "default" else ""
        options = tuple(variable_type.enum_type.values)
        if common["type"] == "bool":
            options = ("true", "false")
        structured = variable_type.WhichOneof("type") in ("collection_type", "map_value_type")
        multiline = not options and (structured or "\n" in text or variable_type.simple == types_pb2.STRUCT)
        required = which == "required" and parameter.required
        return Field(**common, text=text, required=required, options=options, multiline=multiline)

    def _query_field(self, name: str, parameter: interface_pb2.Parameter) -> Field:
        query = parameter.artifact_query
        return Field(
            **self._common(name, parameter),
            **self._resolve(query, may_be_none=is_optional(parameter.var.type)),
            text=self.data.get(f"in.{name}", ""),
            is_query=True,
            query=query_in_words(query),
            chosen=self.data.get(f"in.{name}.version", ""),
            choices=tuple(self._choices(query)),
        )

    def _resolve(self, query: artifact_id_pb2.ArtifactQuery, *, may_be_none: bool) -> dict[str, Any]:
        defaults = {name: p.default for name, p in self.parameters.items() if p.WhichOneof("behavior") == "default"}
        inputs = defaults | dict(self.earlier) | self.values | self.fixed
        may_read = access.may_read(self.request.user)
        try:
            wanted = read_query(query, project=self.plan.project, domain=self.plan.domain, inputs=inputs)
            if not may_read(wanted.project, wanted.domain):  # what is or is not there is not told to strangers either
                return {"problem": f"it asks in {wanted.project}/{wanted.domain}, where you may not read"}
            found = find(wanted, may_read=may_read)
        except CausewayError as error:
            none = "; launched so, the input is None" if may_be_none and isinstance(error, QueryUnresolved) else ""
            return {"problem": error.message + none}
        return {"resolved": found.version, "why": found.explanation}

    def _choices(self, query: artifact_id_pb2.ArtifactQuery) -> list[ArtifactVersion]:
        """Newest versions of the artifact the query names: what Override offers."""
        key = query.artifact_id.artifact_key if query.HasField("artifact_id") else query.artifact_tag.artifact_key
        if not key.name:
            return []
        readable = access.readable(self.request.user, project="artifact__project", domain="artifact__domain")
        where = {"artifact__name": key.name, "artifact__project": key.project or self.plan.project}
        where["artifact__domain"] = key.domain or self.plan.domain
        rows = ArtifactVersion.objects.filter(readable, **where).select_related("artifact")
        return list(rows.defer("literal", "literal_type", "card").order_by("-created_at", "-id")[:CHOICES_SHOWN])


def _editable(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
