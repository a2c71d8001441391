"""Promotions: versions that go to another domain or project by reference."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts.models import ArtifactVersion
from console.access_objects import access_promotion, access_version_id, with_evidence_for
from console.accounts import access
from console.promotions import mover_there, require_promoter, require_voter
from console.rest.base import ApiView, Body, ListView, ScopeFilters, read_body, read_query, user_of
from console.rest.gates import VoteOut
from console.rest.lineage import VersionRef
from scheduler.approving import evidence
from scheduler.models import Promotion
from scheduler.promoting.promote import promote, rule_of, vote

TAGS = ["promotions"]


class PromotionOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    source = serializers.SerializerMethodField(help_text="null: you may not read it")  # type: ignore[assignment]
    project = serializers.CharField()
    domain = serializers.CharField()
    name = serializers.CharField(help_text="of the artifact there")
    alias = serializers.CharField()
    target = serializers.SerializerMethodField(help_text="the version there, once it was promoted")
    state = serializers.ChoiceField(choices=Promotion.State.choices)
    reason = serializers.CharField()
    requested_by = serializers.CharField()
    requested_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    cache_key = serializers.CharField(help_text="of the cache entry that went with it; empty: none did")

    @extend_schema_field(VersionRef(allow_null=True))
    def get_source(self, row: Promotion) -> dict[str, Any] | None:
        return self._known(row.source)

    @extend_schema_field(VersionRef(allow_null=True))
    def get_target(self, row: Promotion) -> dict[str, Any] | None:
        return self._known(row.target)

    def _known(self, version: ArtifactVersion | None) -> dict[str, Any] | None:
        if version is None or not self.context["may_read"](*version.artifact.key[:2]):
            return None
        return dict(VersionRef(version).data)


class PromotionDetail(PromotionOut):
    rule = serializers.SerializerMethodField(help_text="who decides, and how many it takes; null: nobody has to")
    votes = serializers.SerializerMethodField(help_text="in order; those that were voided too")

    @extend_schema_field(VoteOut(many=True))
    def get_votes(self, row: Promotion) -> list[dict[str, Any]]:
        return list(VoteOut(row.votes.order_by("pk"), many=True).data)

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_rule(self, row: Promotion) -> dict[str, Any] | None:
        rule = rule_of(row)
        return None if rule.is_default else rule.as_json()


class PromoteBody(Body):
    project = serializers.CharField(max_length=64, required=False, help_text="the version's own, unless given")
    domain = serializers.CharField(max_length=64)
    name = serializers.CharField(max_length=255, required=False, allow_blank=True, default="", help_text="the same")
    alias = serializers.CharField(max_length=64, required=False, allow_blank=True, default="")
    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=2000)


class PromotionFilters(ScopeFilters):
    state = serializers.ChoiceField(choices=Promotion.State.choices, required=False)
    version = serializers.IntegerField(required=False, help_text="the id of the version, there or where it came from")


def shown(row: Promotion, user: Any) -> dict[str, Any]:
    return dict(PromotionDetail(row, context={"may_read": access.reader(user)}).data)


class PromotionsView(ListView):
    newest_by = "requested_at"

    @extend_schema(parameters=[PromotionFilters], responses=PromotionOut(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        """Promotions to where you may read, newest first; project and domain are those promoted to."""
        user, filters = user_of(request), read_query(PromotionFilters, request)
        version = filters.pop("version", None)
        wanted = Q(**filters) & (Q() if version is None else Q(source=version) | Q(target=version))
        heavy = [f"{side}__{name}" for side in ("source", "target") for name in ("literal", "card", "terms")]
        rows = Promotion.objects.filter(access.readable(user), wanted)
        rows = rows.select_related("source__artifact", "target__artifact").defer(*heavy)
        return self.page(request, rows, PromotionOut, {"may_read": access.reader(user)})


class PromotionView(ApiView):
    @extend_schema(responses=PromotionDetail, tags=TAGS)
    def get(self, request: Request, promotion_id: int) -> Response:
        """One promotion, with its votes."""
        user = user_of(request)
        return Response(shown(access_promotion(user, promotion_id), user))


class PromoteView(ApiView):
    @extend_schema(request=PromoteBody, responses=PromotionDetail, tags=TAGS)
    def post(self, request: Request, version_id: int) -> Response:
        """Promote the version: at once, or when the approvals are there that the rule of the other place asks for.

        Nothing is copied: a version of its own there has the same bytes. Asked for again it is the first one.
        """
        user = user_of(request)
        version = access_version_id(user, version_id)
        body = read_body(PromoteBody, request)
        body.setdefault("project", version.artifact.project)
        require_promoter(user, body["project"], body["domain"], body["name"] or version.artifact.name)
        mover = mover_there(user, body["project"], body["domain"])
        return Response(shown(promote(version, **body, actor=user.username, mover=mover), user))


class VoteBody(Body):
    approve = serializers.BooleanField()
    comment = serializers.CharField(required=False, allow_blank=True, default="", max_length=10_000)
    digest = serializers.CharField(required=False, allow_blank=True, default="")


class PromotionVoteView(ApiView):
    @extend_schema(request=VoteBody, responses=PromotionDetail, tags=TAGS, operation_id="promotions_decide")
    def post(self, request: Request, promotion_id: int) -> Response:
        """Approve or reject a promotion that waits. 409 when it does not, or you have done so."""
        user = user_of(request)
        body = read_body(VoteBody, request)
        row = access_promotion(user, promotion_id)
        require_voter(user, row)
        told = {"actor": user.username, "comment": body["comment"], "seen": body["digest"]}
        mover = mover_there(user, row.project, row.domain)
        return Response(shown(vote(row, approve=body["approve"], **told, mover=mover), user))


class PromotionEvidenceView(ApiView):
    @extend_schema(responses={200: OpenApiTypes.OBJECT}, tags=TAGS, operation_id="promotions_evidence")
    def get(self, request: Request, promotion_id: int) -> Response:
        """The signed evidence of the decision about a promotion."""
        user = user_of(request)
        found = evidence.decision_about(access_promotion(user, promotion_id))
        return Response(evidence.evidence_of(with_evidence_for(user, found)))
