"""Versions or executions against each other: measures with differences, facts, inputs, schema, ancestry, cards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts.exceptions import InvalidArgument
from artifacts.measures import Better, Verdict
from console.accounts import access
from console.comparison import (
    MOST,
    Compared,
    Line,
    compare_executions,
    compare_versions,
    executions_to_compare,
    versions_to_compare,
)
from console.rest.base import ApiView, Body, read_query, user_of
from lineage.render import Readable, node_json


class MeasureFilters(Body):
    base = serializers.CharField(required=False, default="", help_text="what the others are held against: the first")
    less = serializers.CharField(required=False, default="", help_text="measures of which less is better, by commas")
    more = serializers.CharField(required=False, default="", help_text="measures of which more is better, by commas")


class VersionsToCompare(MeasureFilters):
    versions = serializers.CharField(help_text=f"ids, with commas between; at most {MOST}")


class ExecutionsToCompare(MeasureFilters):
    executions = serializers.CharField(help_text=f"project/domain/name, with commas between; at most {MOST}")


class DeltaOut(serializers.Serializer[Any]):
    value = serializers.FloatField(allow_null=True)
    difference = serializers.FloatField(allow_null=True)
    share = serializers.FloatField(allow_null=True, help_text="of the base's value: 0.1 is ten per cent more")
    verdict = serializers.ChoiceField(choices=[verdict.value for verdict in Verdict])


class MeasureOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    better = serializers.ChoiceField(choices=[better.value for better in Better], help_text="by its name, or as said")
    is_said = serializers.BooleanField(help_text="`less` or `more` said so")
    deltas = DeltaOut(many=True)
    best = serializers.ListField(child=serializers.IntegerField(), help_text="places of the best, from 0")


class LineOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    values = serializers.ListField(child=serializers.JSONField(allow_null=True))
    differs = serializers.BooleanField()


class MadeOut(serializers.Serializer[Any]):
    artifact = serializers.CharField()
    own = serializers.ListField(
        child=serializers.ListField(child=serializers.DictField()),
        help_text="of each, the versions that not all of them descend from",
    )


class ComparedOut(serializers.Serializer[Any]):
    """What is compared stands in one order everywhere."""

    compared = serializers.ListField(child=serializers.CharField(), help_text="ids, or project/domain/name")
    base = serializers.IntegerField(help_text="its place, from 0")
    measures = MeasureOut(many=True)
    facts = LineOut(many=True)
    schema = LineOut(many=True, help_text="columns of frames or fields of structures, with their types")
    inputs = LineOut(many=True, help_text="of the executions, or of those that published the versions")
    outputs = LineOut(many=True)
    environment = LineOut(many=True, help_text="image, flytekit, code, place of the attempts behind them")
    ancestry = MadeOut(many=True)
    hidden = serializers.IntegerField(help_text="artifacts in the ancestries that differ and you may not read")
    cards = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        help_text="by place: a unified diff from the base's card",
    )


class CompareVersionsView(ApiView):
    @extend_schema(
        parameters=[VersionsToCompare], responses=ComparedOut, tags=["lineage"], operation_id="versions_compare"
    )
    def get(self, request: Request) -> Response:
        """What is different between versions. 404 where you may not read one of them."""
        asked, user = read_query(VersionsToCompare, request), user_of(request)
        parts = _parts(asked["versions"])
        if bad := [part for part in parts if not (part.isascii() and part.isdigit() and len(part) < 19)]:
            raise InvalidArgument(f"'{bad[0][:100]}' is no version: versions are ids with commas between")
        versions = versions_to_compare(user, [int(part) for part in parts])
        keys = [str(version.pk) for version in versions]
        base = _place(keys, asked["base"])
        found = compare_versions(user, versions, base=base, said=_said(asked))
        return Response(_body(keys, base, found, access.reader(user)))


class CompareExecutionsView(ApiView):
    @extend_schema(
        parameters=[ExecutionsToCompare], responses=ComparedOut, tags=["executions"], operation_id="executions_compare"
    )
    def get(self, request: Request) -> Response:
        """What is different between executions: inputs, outputs, how long each node took, what they published."""
        asked, user = read_query(ExecutionsToCompare, request), user_of(request)
        executions = executions_to_compare(user, _parts(asked["executions"]))
        keys = [execution.key for execution in executions]
        base = _place(keys, asked["base"])
        found = compare_executions(user, executions, base=base, said=_said(asked))
        return Response(_body(keys, base, found, access.reader(user)))


def _parts(text: str) -> list[str]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise InvalidArgument("name at least one")
    return parts


def _place(keys: Sequence[str], wanted: str) -> int:
    if wanted and wanted not in keys:
        raise InvalidArgument(f"the base '{wanted[:200]}' is none of {', '.join(keys)}")
    return keys.index(wanted) if wanted else 0


def _said(asked: dict[str, Any]) -> dict[str, Better]:
    less = {name.strip(): Better.LESS for name in asked["less"].split(",") if name.strip()}
    return less | {name.strip(): Better.MORE for name in asked["more"].split(",") if name.strip()}


def _body(keys: Sequence[str], base: int, found: Compared, readable: Readable) -> dict[str, Any]:
    lines = {name: _lines(getattr(found, name)) for name in ("facts", "schema", "inputs", "outputs", "environment")}
    return {
        "compared": list(keys),
        "base": base,
        "measures": [{**MeasureOut(one).data, "best": sorted(one.best)} for one in found.measures],
        **lines,
        "ancestry": [
            {
                "artifact": one.artifact,
                "own": [[node_json(node, readable=readable) for node in own] for own in one.own],
            }
            for one in found.ancestry
        ],
        "hidden": found.hidden,
        "cards": {str(at): list(diff) for at, diff in found.cards.items()},
    }


def _lines(lines: Sequence[Line]) -> list[dict[str, Any]]:
    return [{"name": line.name, "values": list(line.values), "differs": line.differs} for line in lines]
