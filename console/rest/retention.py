"""Letting versions go: by policy, with a dry run first, or by hand. Every removal is listed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts.actions.retention import check_rules, drop_policy, set_policy
from artifacts.exceptions import NotFound
from artifacts.models import Artifact, ArtifactVersion, Removal, RetentionPolicy
from console.access_objects import access_artifact
from console.accounts.access import Action
from console.rest.base import ApiView, Body, Filters, ListView, read_body, read_query, user_of
from scheduler.actions.removal import RemovalPlan, plan_removal, remove_version
from scheduler.actions.retention import RetentionPlan, apply_retention, kept_by_rule, plan_retention

TAGS = ["retention"]
SHOWN = 1000  # versions of each list of a dry run


class PolicyBody(Body):
    keep_newest = serializers.IntegerField(
        required=False, allow_null=True, default=None, help_text="so many of each partition stay"
    )
    keep_days = serializers.FloatField(
        required=False, allow_null=True, default=None, help_text="what is younger stays; days, also parts of one"
    )
    keep_ancestors = serializers.BooleanField(
        required=False, default=True, help_text="what versions that stay were made of stays too"
    )


class PolicyOut(serializers.Serializer[Any]):
    keep_newest = serializers.IntegerField(allow_null=True)
    keep_days = serializers.SerializerMethodField()
    keep_ancestors = serializers.BooleanField()
    set_by = serializers.CharField()
    set_at = serializers.DateTimeField()

    def get_keep_days(self, policy: RetentionPolicy) -> float | None:
        return policy.keep_for.total_seconds() / 86_400 if policy.keep_for is not None else None


def rules_of(body: dict[str, Any]) -> dict[str, Any]:
    days = body["keep_days"]
    in_range = days is not None and abs(days) < 1e6
    keep_for = timedelta(days=days if in_range else 1e6) if days is not None else None
    return {"keep_newest": body["keep_newest"], "keep_for": keep_for, "keep_ancestors": body["keep_ancestors"]}


def policy_of(artifact: Artifact) -> RetentionPolicy:
    policy = RetentionPolicy.objects.select_related("artifact").filter(artifact=artifact).first()
    if policy is None:
        raise NotFound(f"{artifact} has no retention policy: everything is kept")
    return policy


class PolicyView(ApiView):
    @extend_schema(responses=PolicyOut, tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str) -> Response:
        """The artifact's retention policy; 404: there is none, and everything is kept."""
        return Response(PolicyOut(policy_of(access_artifact(user_of(request), project, domain, name))).data)

    @extend_schema(request=PolicyBody, responses=PolicyOut, tags=TAGS)
    def put(self, request: Request, project: str, domain: str, name: str) -> Response:
        """Set the policy. A version goes when every rule that is given lets it go, and nothing needs it."""
        user = user_of(request)
        artifact = access_artifact(user, project, domain, name, action=Action.ADMIN)
        body = read_body(PolicyBody, request)
        policy = set_policy(artifact, **rules_of(body), actor=user.username)
        return Response(PolicyOut(policy).data)

    @extend_schema(responses={204: None}, tags=TAGS)
    def delete(self, request: Request, project: str, domain: str, name: str) -> Response:
        """Keep everything from now on."""
        user = user_of(request)
        artifact = access_artifact(user, project, domain, name, action=Action.ADMIN)
        drop_policy(artifact, actor=user.username)
        return Response(status=204)


class Verdict(serializers.Serializer[Any]):
    id = serializers.IntegerField(source="pk")
    version = serializers.CharField()
    partitions = serializers.DictField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    size_bytes = serializers.IntegerField(allow_null=True)
    reason = serializers.CharField(required=False, help_text="why it stays")


class PlanOut(serializers.Serializer[Any]):
    remove = Verdict(many=True, help_text="what would go, oldest first")
    needed = Verdict(many=True, help_text="old enough to go, but something needs it")
    kept = Verdict(many=True, help_text="what the rules keep, newest first")
    more = serializers.BooleanField(help_text=f"there are more than the first {SHOWN} old versions")


def plan_json(policy: RetentionPolicy, plan: RetentionPlan) -> dict[str, Any]:
    return {
        "remove": Verdict(plan.remove, many=True).data,
        "needed": [{**Verdict(version).data, "reason": reason} for version, reason in plan.kept],
        "kept": [{**Verdict(version).data, "reason": reason} for version, reason in kept_by_rule(policy, limit=SHOWN)],
        "more": plan.more,
    }


class PlanView(ApiView):
    @extend_schema(parameters=[PolicyBody], responses=PlanOut, tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str) -> Response:
        """The dry run: what would go now, and why everything else stays. With rules given, of those instead."""
        artifact = access_artifact(user_of(request), project, domain, name)
        body = read_query(PolicyBody, request)
        if body["keep_newest"] is None and body["keep_days"] is None:
            policy = policy_of(artifact)
        else:
            rules = rules_of(body)
            check_rules(rules["keep_newest"], rules["keep_for"])
            policy = RetentionPolicy(artifact=artifact, **rules)
        return Response(plan_json(policy, plan_retention(policy)))


class RunOut(serializers.Serializer[Any]):
    removed = serializers.IntegerField(help_text="versions")


class RunView(ApiView):
    @extend_schema(request=None, responses=RunOut, tags=TAGS)
    def post(self, request: Request, project: str, domain: str, name: str) -> Response:
        """Apply the policy now rather than within the hour."""
        user = user_of(request)
        artifact = access_artifact(user, project, domain, name, action=Action.ADMIN)
        removals = apply_retention(policy_of(artifact), actor=user.username)
        return Response({"removed": len(removals)})


class RemovalOut(serializers.Serializer[Any]):
    version_id = serializers.IntegerField()
    version = serializers.CharField(source="version.version")
    at = serializers.DateTimeField()
    actor = serializers.CharField()
    reason = serializers.CharField()
    objects_deleted_at = serializers.DateTimeField(allow_null=True, help_text="null: its objects are still to go")
    freed_bytes = serializers.IntegerField()


class RemovalsView(ListView):
    newest_by = "at"

    @extend_schema(responses=RemovalOut(many=True), tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str) -> Response:
        """Every removal of a version of this artifact."""
        read_query(Filters, request)
        artifact = access_artifact(user_of(request), project, domain, name)
        rows = Removal.objects.filter(version__artifact=artifact).select_related("version")
        return self.page(request, rows.only(*_REMOVAL_COLUMNS), RemovalOut)


_REMOVAL_COLUMNS = ("at", "actor", "reason", "objects_deleted_at", "freed_bytes", "version__version")


class RemoveFilters(Body):
    dry_run = serializers.BooleanField(required=False, default=False)
    tombstone = serializers.BooleanField(
        required=False, default=False, help_text="also when kept versions were made of it: their lineage stays whole"
    )
    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=1000)


class DataOut(serializers.Serializer[Any]):
    uri = serializers.CharField()
    size = serializers.IntegerField()
    kept_for = serializers.CharField(help_text="why it stays in the store; empty: it goes")


class RemoveOut(serializers.Serializer[Any]):
    removed = serializers.BooleanField()
    blocked = serializers.ListField(child=serializers.CharField(), help_text="why it cannot be removed")
    needs_tombstone = serializers.BooleanField(help_text="kept versions were made of it")
    data = DataOut(many=True)  # type: ignore[assignment]  # a name that serializers have too


def remove_json(plan: RemovalPlan, *, removed: bool) -> dict[str, Any]:
    data = [one._asdict() for one in plan.data]
    return {"removed": removed, "blocked": plan.blocked, "needs_tombstone": plan.descendants, "data": data}


def remove_by_hand(request: Request, version: ArtifactVersion) -> Response:
    """DELETE of a version, however it was named: its data goes, its row stays as a tombstone for lineage."""
    user = user_of(request)
    asked = read_query(RemoveFilters, request)
    if asked["dry_run"]:
        return Response(remove_json(plan_removal(version), removed=False))
    plan = remove_version(version, tombstone_used=asked["tombstone"], actor=user.username, reason=asked["reason"])
    return Response(remove_json(plan, removed=True))
