"""Fields that several resources share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import IntegerChoices
from drf_spectacular.utils import extend_schema_field
from flyteidl.core import execution_pb2
from rest_framework import serializers

from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import User
from console.rest.base import user_of
from scheduler.doing import State
from scheduler.phases import AttemptPhase, ExecutionPhase, NodePhase
from scheduler.quotas.why import CODES


class NameOf(serializers.Field[Any, Any, str, Any]):
    """An IntegerChoices column as the name of its value: `RUNNING`. As input, any case."""

    choices: type[IntegerChoices]

    def to_representation(self, value: Any) -> str:
        return self.choices(value).name

    def to_internal_value(self, data: Any) -> IntegerChoices:
        try:
            return self.choices[str(data).upper()]
        except KeyError:
            raise serializers.ValidationError(f"must be one of {', '.join(self.choices.names)}") from None


@extend_schema_field({"type": "string", "enum": ExecutionPhase.names})
class ExecutionPhaseField(NameOf):
    choices = ExecutionPhase


@extend_schema_field({"type": "string", "enum": NodePhase.names})
class NodePhaseField(NameOf):
    choices = NodePhase


@extend_schema_field({"type": "string", "enum": AttemptPhase.names})
class AttemptPhaseField(NameOf):
    choices = AttemptPhase


@extend_schema_field(
    {
        "type": "object",
        "nullable": True,
        "properties": {
            "code": {"type": "string"},
            "message": {"type": "string"},
            "kind": {"type": "string", "enum": ["UNKNOWN", "USER", "SYSTEM"]},
            "uri": {"type": "string", "description": "where to look: the log of the attempt that failed, or empty"},
        },
    }
)
class ErrorField(serializers.Field[Any, Any, Any, Any]):
    """A stored core.ExecutionError."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, **options)

    def to_representation(self, value: Any) -> dict[str, str]:
        error = execution_pb2.ExecutionError.FromString(bytes(value))
        kind = execution_pb2.ExecutionError.ErrorKind.Name(error.kind)
        return {"code": error.code, "message": error.message, "kind": kind, "uri": error.error_uri}


class ResolutionField(serializers.DictField):
    """How inputs were found; of a version that the user may not read only `via`. Needs `request` in the context."""

    def to_representation(self, value: Any) -> Any:
        user = user_of(self.context["request"])
        return {name: one if self._is_told(user, one) else {"via": one["via"]} for name, one in value.items()}

    def _is_told(self, user: User, found: Mapping[str, Any]) -> bool:
        if "artifact" not in found:
            return True
        project, domain, _ = found["artifact"].split("/", 2)
        return access.can(user, Action.READ, project, domain)


class EntityName(serializers.Serializer[Any]):
    """What a registered version is called."""

    project = serializers.CharField()
    domain = serializers.CharField()
    name = serializers.CharField()
    version = serializers.CharField()


class DoingField(serializers.Serializer[Any]):
    """Finer than the phase, which is RUNNING from the first evaluation on."""

    state = serializers.ChoiceField(choices=[state.value for state in State])
    code = serializers.ChoiceField(choices=["", *CODES], help_text="of `why`; empty: it waits for nothing")
    reason = serializers.CharField(help_text="for what, in which place of the line; empty for what simply runs")
    since = serializers.DateTimeField(allow_null=True)
    place = serializers.IntegerField(allow_null=True, help_text="in the line of its executor, from 1")
    counts = serializers.DictField(
        child=serializers.IntegerField(), help_text="how many attempts and gates are in which state"
    )
