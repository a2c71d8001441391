"""Approvals and signals that executions wait for."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Q
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from flyteidl.core import literals_pb2, types_pb2
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts.exceptions import InvalidArgument
from artifacts.literals import describe_type, from_json, to_json
from artifacts.literals.types import SIMPLE_NAMES
from console.access_objects import access_execution, access_gate
from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import User
from console.deciding import require_decider
from console.rest.base import ApiView, Body, ListView, ScopeFilters, read_body, read_query, user_of
from console.rest.lineage import VersionRef
from scheduler.actions.gates import decide, declared_gate, gates_ahead, get_or_create_signal, set_signal, takes_approval
from scheduler.approving.reading import decisions_wanted, is_decision, rule_for
from scheduler.approving.review import review_of
from scheduler.approving.standing import latest_of, stands
from scheduler.models import Gate, GateKind
from scheduler.phases import EXECUTION_TERMINAL
from scheduler.subjects import subjects_of

TAGS = ["gates"]
TYPES = {name: simple for simple, name in SIMPLE_NAMES.items() if name not in ("none", "binary", "error")}
WAITING = Q(decided_at=None, waiting_since__isnull=False) & ~Q(execution__phase__in=EXECUTION_TERMINAL)


class GateOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    execution = serializers.CharField(source="execution.key")
    node_id = serializers.CharField(source="node.node_id", default=None, allow_null=True)
    signal_id = serializers.CharField()
    kind = serializers.ChoiceField(choices=GateKind.choices)
    type = serializers.SerializerMethodField(help_text="of the value a signal wants")
    value = serializers.SerializerMethodField("read_value")
    waiting_since = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    decided_by = serializers.CharField()
    comment = serializers.CharField()
    subject = serializers.SerializerMethodField(help_text="the version that is decided about, as far as you may know")

    @extend_schema_field(VersionRef(allow_null=True))
    def get_subject(self, gate: Gate) -> dict[str, Any] | None:
        version = self.context.get("subjects", {}).get(gate.pk)
        if version is None or not access.can(self.context["user"], Action.READ, *version.artifact.key[:2]):
            return None
        return dict(VersionRef(version).data)

    def get_type(self, gate: Gate) -> str:
        return describe_type(_type_of(gate))

    def read_value(self, gate: Gate) -> Any:
        if gate.value is None:
            return None
        return to_json(literals_pb2.Literal.FromString(bytes(gate.value)), _type_of(gate), exact=True)


def _type_of(gate: Gate) -> types_pb2.LiteralType:
    return types_pb2.LiteralType.FromString(bytes(gate.literal_type))


class VoteOut(serializers.Serializer[Any]):
    actor = serializers.CharField()
    acting_for = serializers.CharField(help_text="whose seat it was; another's where it was delegated")
    approve = serializers.BooleanField()
    comment = serializers.CharField()
    at = serializers.DateTimeField()
    digest = serializers.CharField(help_text="of what was reviewed")
    voided_at = serializers.DateTimeField(allow_null=True, help_text="what was reviewed changed: it counts for nothing")


class GateDetail(GateOut):
    is_decision = serializers.SerializerMethodField(help_text="whether it is approved or rejected")
    rule = serializers.SerializerMethodField(help_text="who decides, and how many of them it takes")
    votes = serializers.SerializerMethodField(help_text="in order; those that were voided too")
    escalated_at = serializers.DateTimeField(allow_null=True)
    voided_at = serializers.DateTimeField(
        allow_null=True, help_text="what was reviewed changed after the decision, which does not count any more"
    )
    reviewed = serializers.SerializerMethodField(help_text="what there is to review, each with its digest")
    digest = serializers.SerializerMethodField(help_text="of all of it: send it with the decision")

    def get_is_decision(self, gate: Gate) -> bool:
        return is_decision(gate)

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_rule(self, gate: Gate) -> dict[str, Any] | None:
        rule: dict[str, Any] | None = self.context["rule"]
        return rule

    @extend_schema_field(VoteOut(many=True))
    def get_votes(self, gate: Gate) -> list[dict[str, Any]]:
        return list(VoteOut(gate.votes.order_by("pk"), many=True).data)

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_reviewed(self, gate: Gate) -> dict[str, Any]:
        return dict(self.context["reviewed"])

    def get_digest(self, gate: Gate) -> str:
        return str(self.context["digest"])


class GateFilters(ScopeFilters):
    state = serializers.ChoiceField(choices=["waiting", "decided", "all"], required=False, default="waiting")
    kind = serializers.ChoiceField(choices=GateKind.choices, required=False)
    execution = serializers.CharField(required=False, help_text="its name")
    decision = serializers.BooleanField(
        required=False, default=False, help_text="approvals, and what a rule makes a decision of"
    )


class GatesView(ListView):
    @extend_schema(parameters=[GateFilters], responses=GateOut(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        """Gates, newest first; unless told otherwise those that wait for somebody."""
        filters = read_query(GateFilters, request)
        columns = {"project": "execution__project", "domain": "execution__domain", "execution": "execution__name"}
        state, decisions = filters.pop("state"), filters.pop("decision")
        wanted = Q(**{columns.get(key, key): value for key, value in filters.items()})
        if state == "waiting":
            wanted &= WAITING & ~Q(kind=GateKind.SLEEP)
        elif state == "decided":
            wanted &= Q(decided_at__isnull=False)
        if decisions:
            wanted &= decisions_wanted()
        mine = access.readable(user_of(request), project="execution__project", domain="execution__domain")
        rows = Gate.objects.filter(mine, wanted).select_related("execution", "node").defer("execution__spec")
        return self.page(
            request, rows, GateOut, {"user": user_of(request)}, lambda found: {"subjects": subjects_of(found)}
        )


class GateView(ApiView):
    @extend_schema(responses=GateDetail, tags=TAGS)
    def get(self, request: Request, gate_id: int) -> Response:
        """One gate."""
        return Response(_shown(access_gate(user_of(request), gate_id), user_of(request)))


def _shown(gate: Gate, user: User) -> dict[str, Any]:
    latest = latest_of(gate) if gate.decided_at is not None else None
    if latest is not None:
        stands(latest)
        gate.voided_at = latest.voided_at
        parts, digest, rule = latest.reviewed, latest.digest, latest.rule
    else:
        decides = is_decision(gate)
        review = review_of(gate) if decides and gate.node is not None else None
        parts, digest = (review.parts, review.digest) if review is not None else ({}, "")
        rule = rule_for(gate).as_json() if decides else None
    told = {"user": user, "subjects": subjects_of([gate]), "reviewed": parts, "digest": digest, "rule": rule}
    return dict(GateDetail(gate, context=told).data)


class DecisionBody(Body):
    approve = serializers.BooleanField()
    comment = serializers.CharField(required=False, allow_blank=True, default="", max_length=10_000)
    digest = serializers.CharField(
        required=False, allow_blank=True, default="", help_text="of what you reviewed: 409 when it changed since"
    )


class DecideView(ApiView):
    @extend_schema(request=DecisionBody, responses=GateDetail, tags=TAGS, operation_id="gates_decide")
    def post(self, request: Request, gate_id: int) -> Response:
        """Approve or reject, by the rule that holds: where several have to, yours is one vote.

        409 when it was decided, has expired, its execution has ended, or what you reviewed (`digest`) changed since.
        """
        user = user_of(request)
        body = read_body(DecisionBody, request)
        gate = access_gate(user, gate_id)
        require_decider(user, gate)
        told = {"actor": user.username, "comment": body["comment"], "seen": body["digest"]}
        decide(gate, approve=body["approve"], **told)
        return _decided(gate, user)


class SignalBody(Body):
    value = serializers.JSONField(allow_null=True)
    comment = serializers.CharField(required=False, allow_blank=True, default="", max_length=10_000)


class SignalView(ApiView):
    @extend_schema(request=SignalBody, responses=GateDetail, tags=TAGS, operation_id="gates_signal")
    def post(self, request: Request, gate_id: int) -> Response:
        """Give a signal its value. 409 when it has one."""
        user = user_of(request)
        body = read_body(SignalBody, request)
        gate = access_gate(user, gate_id)
        if gate.kind != GateKind.SIGNAL:
            access.require(user, Action.LAUNCH, gate.execution.project, gate.execution.domain)
            raise InvalidArgument(f"gate {gate_id} is no signal but {gate.get_kind_display()}")
        _require_giver(user, gate)
        return _given(gate, user, body)


class SignalOut(serializers.Serializer[Any]):
    signal_id = serializers.CharField()
    kind = serializers.ChoiceField(choices=GateKind.choices)
    type = serializers.SerializerMethodField(help_text="of the value it wants")

    def get_type(self, gate: Gate) -> str:
        return describe_type(_type_of(gate))


class SignalsOut(serializers.Serializer[Any]):
    results = SignalOut(many=True)


class SignalsAheadView(ApiView):
    @extend_schema(responses=SignalsOut, tags=TAGS, operation_id="executions_signals")
    def get(self, request: Request, project: str, domain: str, name: str) -> Response:
        """What the execution will ask for, as far as it is known, before its nodes are reached: all of it."""
        execution = access_execution(user_of(request), project, domain, name)
        ahead = [] if execution.phase in EXECUTION_TERMINAL else gates_ahead(execution)
        return Response({"results": SignalOut(ahead, many=True).data})


class NamedSignalBody(SignalBody):
    type = serializers.ChoiceField(
        choices=sorted(TYPES),
        required=False,
        help_text="declares a signal that nothing asked for yet, such as one of a dynamic workflow that did not run",
    )


class SignalByNameView(ApiView):
    @extend_schema(request=NamedSignalBody, responses=GateDetail, tags=TAGS, operation_id="executions_signal")
    def post(self, request: Request, project: str, domain: str, name: str, signal_id: str) -> Response:
        """Give a signal its value, or an approval its `true` or `false`, whether its node was reached yet or not.

        409 when it has one.
        """
        user = user_of(request)
        body = read_body(NamedSignalBody, request)
        execution = access_execution(user, project, domain, name)
        with transaction.atomic():  # a value refused leaves no gate behind
            if "type" in body:
                access.require(user, Action.LAUNCH, project, domain)
                literal_type = types_pb2.LiteralType(simple=TYPES[body["type"]])
                gate = get_or_create_signal(execution, signal_id, literal_type)
            else:
                gate = declared_gate(execution, signal_id)
            _require_giver(user, gate)
            return _given(gate, user, body)


def _require_giver(user: User, gate: Gate) -> None:
    """Of a decision an approver, of a value who may launch."""
    if takes_approval(gate):
        require_decider(user, gate)
    else:
        access.require(user, Action.LAUNCH, gate.execution.project, gate.execution.domain)


def _given(gate: Gate, user: User, body: dict[str, Any]) -> Response:
    literal = from_json(body["value"], _type_of(gate), name=gate.signal_id)
    given = set_signal(gate.execution, gate.signal_id, literal, actor=user.username, comment=body["comment"])
    return _decided(given, user)


def _decided(gate: Gate, user: User) -> Response:
    return Response(_shown(access_gate(user, gate.pk), user))
