"""Who decides about gates: rules, groups and delegations; and the evidence of what was decided."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Q
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts.exceptions import NotFound
from console.access_objects import (
    access_approval_rule,
    access_approver_group,
    access_delegation,
    access_gate,
    with_evidence_for,
)
from console.accounts import access
from console.accounts.access import Action
from console.accounts.roles import check_scope
from console.deciding import may_revoke, require_delegator
from console.rest.base import ApiView, Body, Filters, ListView, ScopeFilters, read_body, read_query, user_of
from scheduler.actions import approvers
from scheduler.approving import evidence, keys
from scheduler.approving.rules import ROLES, Rule
from scheduler.approving.standing import latest_of
from scheduler.models import ApprovalRule, ApproverGroup, Decision, Delegation

TAGS = ["approvals"]
HOUR = timedelta(hours=1)


class Names(serializers.ListField):
    child = serializers.CharField(max_length=150)


class RuleBody(Body):
    project = serializers.CharField(max_length=64)
    domain = serializers.CharField(max_length=64, required=False, allow_blank=True, default="", help_text="empty: any")
    workflow = serializers.CharField(
        max_length=255, required=False, allow_blank=True, default="", help_text="its name; empty: any"
    )
    signal_id = serializers.CharField(
        max_length=255,
        required=False,
        allow_blank=True,
        default="",
        help_text="what `approve` is called in the workflow, or a yes or no that is waited for; empty: every approval",
    )
    people = Names(required=False, default=list)
    groups = Names(required=False, default=list)
    role = serializers.ChoiceField(choices=ROLES, required=False, allow_blank=True, default="")
    quorum = serializers.IntegerField(required=False, default=1, help_text="so many have to approve")
    rejections = serializers.IntegerField(required=False, default=1, help_text="so many rejections end it")
    author_may = serializers.BooleanField(
        required=False, default=False, help_text="who launched it, or made what it is about, may decide too"
    )
    escalate_hours = serializers.FloatField(
        required=False, allow_null=True, default=None, help_text="so long before the time-out others are asked too"
    )
    escalate_to = Names(required=False, default=list, help_text="people, and groups as `group:NAME`")


class RuleOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    project = serializers.CharField()
    domain = serializers.CharField()
    workflow = serializers.CharField()
    signal_id = serializers.CharField()
    people = serializers.ListField(child=serializers.CharField())
    groups = serializers.ListField(child=serializers.CharField())
    role = serializers.CharField()
    quorum = serializers.IntegerField()
    rejections = serializers.IntegerField()
    author_may = serializers.BooleanField()
    escalate_hours = serializers.SerializerMethodField()
    escalate_to = serializers.ListField(child=serializers.CharField())
    set_by = serializers.CharField()
    set_at = serializers.DateTimeField()

    def get_escalate_hours(self, row: ApprovalRule) -> float | None:
        return row.escalate_before / HOUR if row.escalate_before is not None else None


def rule_from(body: dict[str, Any]) -> Rule:
    hours = body["escalate_hours"]
    longest = 1e5  # hours, over what a rule allows: what is more, and what is no number, is refused by it
    before = None if hours is None else timedelta(hours=hours if abs(hours) < longest else longest)
    return Rule(
        people=frozenset(body["people"]),
        groups=frozenset(body["groups"]),
        role=body["role"],
        quorum=body["quorum"],
        rejections=body["rejections"],
        author_may=body["author_may"],
        escalate_before=before,
        escalate_to=frozenset(body["escalate_to"]),
    )


class RulesView(ListView):
    newest_by = "set_at"

    @extend_schema(parameters=[ScopeFilters], responses=RuleOut(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        """Who decides about what, of the projects that you may read."""
        filters = read_query(ScopeFilters, request)
        known = access.known_projects(user_of(request))
        rows = ApprovalRule.objects.filter(Q() if known is None else Q(project__in=known), **filters)
        return self.page(request, rows, RuleOut)

    @extend_schema(request=RuleBody, responses=RuleOut, tags=TAGS)
    def put(self, request: Request) -> Response:
        """Set the rule of a project, a domain, a workflow or one signal; of several that fit the narrowest counts."""
        user = user_of(request)
        body = read_body(RuleBody, request)
        place = {name: body[name] for name in ("project", "domain", "workflow", "signal_id")}
        access.require_found(user, Action.ADMIN, body["project"], body["domain"], what=f"project {body['project']}")
        check_scope(body["project"], body["domain"])
        row = approvers.set_rule(rule_from(body), **place, actor=user.username)
        return Response(RuleOut(row).data)


class RuleView(ApiView):
    @extend_schema(responses=RuleOut, tags=TAGS)
    def get(self, request: Request, rule_id: int) -> Response:
        """One rule."""
        return Response(RuleOut(access_approval_rule(user_of(request), rule_id)).data)

    @extend_schema(responses={204: None}, tags=TAGS)
    def delete(self, request: Request, rule_id: int) -> Response:
        """Remove a rule: the next wider one holds, or any one approver decides."""
        user = user_of(request)
        approvers.remove_rule(access_approval_rule(user, rule_id, action=Action.ADMIN), actor=user.username)
        return Response(status=204)


class GroupOut(serializers.Serializer[Any]):
    project = serializers.CharField()
    name = serializers.CharField()
    members = serializers.ListField(child=serializers.CharField())
    set_by = serializers.CharField()
    set_at = serializers.DateTimeField()


class GroupBody(Body):
    members = Names()


class GroupFilters(Filters):
    project = serializers.CharField(required=False)


class GroupsView(ListView):
    newest_by = "set_at"

    @extend_schema(parameters=[GroupFilters], responses=GroupOut(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        """Groups of people who decide, of the projects that you may read."""
        filters = read_query(GroupFilters, request)
        known = access.known_projects(user_of(request))
        rows = ApproverGroup.objects.filter(Q() if known is None else Q(project__in=known), **filters)
        return self.page(request, rows, GroupOut)


class GroupView(ApiView):
    @extend_schema(responses=GroupOut, tags=TAGS)
    def get(self, request: Request, project: str, name: str) -> Response:
        """One group."""
        return Response(GroupOut(access_approver_group(user_of(request), project, name)).data)

    @extend_schema(request=GroupBody, responses=GroupOut, tags=TAGS)
    def put(self, request: Request, project: str, name: str) -> Response:
        """Make the group, or put these people into it instead."""
        user = user_of(request)
        access.require_found(user, Action.ADMIN, project, "", what=f"project {project}")
        check_scope(project, "")
        members = read_body(GroupBody, request)["members"]
        row = approvers.set_group(project=project, name=name, members=members, actor=user.username)
        return Response(GroupOut(row).data)

    @extend_schema(responses={204: None}, tags=TAGS)
    def delete(self, request: Request, project: str, name: str) -> Response:
        """Remove the group; refused while a rule names it."""
        user = user_of(request)
        row = access_approver_group(user, project, name, action=Action.ADMIN)
        approvers.remove_group(row, actor=user.username)
        return Response(status=204)


class DelegationBody(Body):
    to = serializers.CharField(max_length=150)
    giver = serializers.CharField(max_length=150, required=False, help_text="whose decisions; yours unless you say so")
    project = serializers.CharField(max_length=64, required=False, allow_blank=True, default="", help_text="empty: all")
    starts_at = serializers.DateTimeField(required=False, allow_null=True, default=None)
    ends_at = serializers.DateTimeField()
    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=2000)


class DelegationOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    giver = serializers.CharField()
    to = serializers.CharField()
    project = serializers.CharField()
    reason = serializers.CharField()
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)


class DelegationsView(ListView):
    @extend_schema(responses=DelegationOut(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        """Delegations from and to you, and those of the projects that you administer."""
        read_query(Filters, request)
        user = user_of(request)
        own = Q(giver=user.username) | Q(to=user.username)
        administered = access.known_projects(user, action=Action.ADMIN)
        rows = Delegation.objects.filter(Q() if administered is None else own | Q(project__in=administered))
        return self.page(request, rows, DelegationOut)

    @extend_schema(request=DelegationBody, responses={201: DelegationOut}, tags=TAGS)
    def post(self, request: Request) -> Response:
        """Let somebody decide for you, until a time. Refused where it would go round in a circle."""
        user = user_of(request)
        body = read_body(DelegationBody, request)
        giver = body.pop("giver", user.username)
        require_delegator(user, giver=giver, project=body["project"])
        check_scope(body["project"], "")
        row = approvers.delegate(giver=giver, actor=user.username, **body)
        return Response(DelegationOut(row).data, status=201)


class DelegationView(ApiView):
    @extend_schema(responses={204: None}, tags=TAGS)
    def delete(self, request: Request, delegation_id: int) -> Response:
        """End it now."""
        user = user_of(request)
        row = access_delegation(user, delegation_id)
        if not may_revoke(user, row):
            access.require(user, Action.ADMIN, row.project)
        approvers.revoke(row, actor=user.username)
        return Response(status=204)


def decision_of(gate_id: int, user: Any) -> Decision:
    """The last decision about a gate that the user may read; NotFound while there is none."""
    gate = access_gate(user, gate_id)
    found = latest_of(gate)
    if found is None:
        why = "nothing was decided about it so far" if gate.decided_at is None else "none was kept then"
        raise NotFound(f"there is no evidence of gate {gate_id}: {why}")
    return with_evidence_for(user, found)


class EvidenceView(ApiView):
    @extend_schema(responses={200: OpenApiTypes.OBJECT}, tags=TAGS, operation_id="gates_evidence")
    def get(self, request: Request, gate_id: int) -> Response:
        """The signed evidence of the last decision: who, when, why, by which rule, and what was reviewed."""
        return Response(evidence.evidence_of(decision_of(gate_id, user_of(request))))


class KeyOut(serializers.Serializer[Any]):
    id = serializers.CharField()
    algorithm = serializers.CharField()
    public = serializers.CharField(help_text="32 bytes in base64")


class KeysOut(serializers.Serializer[Any]):
    results = KeyOut(many=True)


class KeysView(ApiView):
    @extend_schema(responses=KeysOut, tags=TAGS)
    def get(self, request: Request) -> Response:
        """The public keys that this installation's evidence is signed with: keep them to verify it offline."""
        user_of(request)
        keys.signing_key()
        return Response({"results": evidence.keys_json()})


class VerifiedOut(serializers.Serializer[Any]):
    valid = serializers.BooleanField()
    decision = serializers.IntegerField()
    voided_at = serializers.DateTimeField(allow_null=True, help_text="by now: what was reviewed changed since")


class VerifyView(ApiView):
    @extend_schema(request=OpenApiTypes.OBJECT, responses=VerifiedOut, tags=TAGS)
    def post(self, request: Request) -> Response:
        """Whether a file is evidence of this installation, unchanged; 400 says what is wrong with it."""
        user = user_of(request)
        document = evidence.verify(request.data, trusted=keys.public_keys())
        row = evidence.decision_named(document)
        access.require_found(user, Action.READ, *row.place, what=f"decision {row.pk}")
        return Response({"valid": True, "decision": row.pk, "voided_at": row.voided_at})
