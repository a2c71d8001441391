"""Policies of aliases: what must hold for one to name a version, and who said that it may."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts.exceptions import NotFound
from artifacts.governance.pointers import (
    approve_version,
    drop_alias_policy,
    pointers_of,
    policy_of,
    set_alias_policy,
    shown_of,
)
from artifacts.governance.policies import kept_policy
from artifacts.models import AliasPolicy, Artifact
from console.access_objects import access_artifact, access_version
from console.accounts import access
from console.accounts.access import Action
from console.deciding import require_word
from console.rest.base import ApiView, Body, Filters, read_body, read_query, user_of
from console.rest.checks import TAGS


class AliasPolicyBody(Body):
    rules = serializers.JSONField(
        help_text="checks, partitions, per, approvals, approvers, role, force_role, quiet, automatic, fall_back"
    )


class ClauseOut(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="check:<name>, partition:<key>, approvals, quarantine, removed")
    holds = serializers.BooleanField()
    said = serializers.CharField()
    numbers = serializers.DictField(child=serializers.FloatField())


class PointerOut(serializers.Serializer[Any]):
    partitions = serializers.DictField()
    version = serializers.CharField()
    clauses = ClauseOut(many=True, help_text="what of the policy holds for that version now")


class AliasPolicyOut(serializers.Serializer[Any]):
    alias = serializers.CharField()
    rules = serializers.DictField()
    set_by = serializers.CharField()
    set_at = serializers.DateTimeField()
    version = serializers.CharField(allow_null=True, help_text="that the alias names now, for all partitions")
    clauses = ClauseOut(many=True, help_text="what of the policy holds for that version now")
    pointers = PointerOut(many=True, help_text="one for each version that it names, those moved last")


def policy_json(row: AliasPolicy, artifact: Artifact) -> dict[str, Any]:
    """The policy, and whether the versions that the alias names satisfy it now."""
    found = pointers_of(artifact.pk, row.alias, kept_policy(row.rules))
    pointers = [
        {
            "partitions": one.partitions,
            "version": one.version.version,
            "clauses": [asdict(clause) for clause in clauses],
        }
        for one, clauses in found
    ]
    whole: dict[str, Any] = next((one for one in pointers if not one["partitions"]), {})
    return {
        "alias": row.alias,
        "rules": row.rules,
        "set_by": row.set_by,
        "set_at": row.set_at,
        "version": whole.get("version"),
        "clauses": whole.get("clauses", []),
        "pointers": pointers,
    }


class AliasPolicyView(ApiView):
    @extend_schema(responses=AliasPolicyOut, tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str, alias: str) -> Response:
        """The alias's policy, and what of it holds for the version that it names; 404: nothing governs it."""
        read_query(Filters, request)
        artifact = access_artifact(user_of(request), project, domain, name)
        row = AliasPolicy.objects.filter(artifact=artifact, alias=alias).first()
        if row is None:
            raise NotFound(f"'{alias}' of {artifact} has no policy")
        return Response(AliasPolicyOut(policy_json(row, artifact)).data)

    @extend_schema(request=AliasPolicyBody, responses=AliasPolicyOut, tags=TAGS)
    def put(self, request: Request, project: str, domain: str, name: str, alias: str) -> Response:
        """Set what must hold for the alias to name a version. Where it points now it stays."""
        user = user_of(request)
        artifact = access_artifact(user, project, domain, name, action=Action.ADMIN)
        row = set_alias_policy(artifact, alias, read_body(AliasPolicyBody, request)["rules"], actor=user.username)
        return Response(AliasPolicyOut(policy_json(row, artifact)).data)

    @extend_schema(responses={204: None}, tags=TAGS)
    def delete(self, request: Request, project: str, domain: str, name: str, alias: str) -> Response:
        """Let whoever may decide move the alias."""
        user = user_of(request)
        artifact = access_artifact(user, project, domain, name, action=Action.ADMIN)
        drop_alias_policy(artifact, alias, actor=user.username)
        return Response(status=204)


class ApprovalBody(Body):
    version = serializers.CharField(help_text="a version, or another alias")
    approve = serializers.BooleanField(help_text="false: it may not")
    comment = serializers.CharField(required=False, allow_blank=True, default="", max_length=10_000)
    digest = serializers.CharField(
        required=False, allow_blank=True, default="", help_text="of what you were shown: 409 when it changed since"
    )


class ReviewFilters(Filters):
    version = serializers.CharField(help_text="a version, or another alias")


class ReviewOut(serializers.Serializer[Any]):
    version = serializers.CharField()
    clauses = ClauseOut(many=True, help_text="what of the policy holds for the version now")
    digest = serializers.CharField(help_text="of that and of the version: send it with what you say")


class ApprovalOut(serializers.Serializer[Any]):
    id = serializers.IntegerField(help_text="of the happening")
    kind = serializers.CharField(help_text="version.approved or version.rejected")
    at = serializers.DateTimeField()
    actor = serializers.CharField()


class AliasApprovalView(ApiView):
    @extend_schema(parameters=[ReviewFilters], responses=ReviewOut, tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str, alias: str) -> Response:
        """What there is to look at before one says that the alias may name the version; 404: nothing governs it."""
        asked = read_query(ReviewFilters, request)
        version = access_version(user_of(request), project, domain, name, asked["version"])
        policy = policy_of(version.artifact_id, alias)
        if policy is None:
            raise NotFound(f"'{alias}' of {version.artifact} has no policy")
        shown = shown_of(policy, version, alias)
        told = {"version": version.version, "clauses": [asdict(one) for one in shown.clauses], "digest": shown.digest}
        return Response(ReviewOut(told).data)

    @extend_schema(request=ApprovalBody, responses=ApprovalOut, tags=TAGS)
    def post(self, request: Request, project: str, domain: str, name: str, alias: str) -> Response:
        """Say that the alias may name a version, or may not; who published it cannot. The last word of each counts."""
        user = user_of(request)
        body = read_body(ApprovalBody, request)
        version = access_version(user, project, domain, name, body["version"])
        require_word(user, project, domain, governed=True)
        row = approve_version(
            version,
            alias,
            approve=body["approve"],
            comment=body["comment"],
            actor=user.username,
            may_decide=access.can(user, Action.DECIDE, project, domain),
            seen=body["digest"],
        )
        return Response(ApprovalOut(row).data)
