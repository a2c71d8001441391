"""Legal holds and pins: what keeps versions; and erasing them."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db.models import Q
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts.actions.holds import release, set_hold
from artifacts.models import Erasure, Hold
from console.access_objects import access_artifact, access_hold, access_version_id
from console.accounts import access
from console.accounts.access import Action
from console.erasing import known_of, require_eraser
from console.rest.base import ApiView, Body, ListView, ScopeFilters, read_body, read_query, user_of
from console.rest.lineage import VersionRef
from scheduler.actions.erasure import ErasurePlan, erase, plan_erasure

TAGS = ["retention"]
NEEDS = {Hold.Kind.LEGAL: Action.ADMIN, Hold.Kind.PIN: Action.DECIDE}  # to set and release one


class HoldBody(Body):
    kind = serializers.ChoiceField(choices=Hold.Kind.choices)
    reason = serializers.CharField(max_length=2000)


class ReleaseBody(Body):
    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=2000)


class HoldOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=Hold.Kind.choices)
    project = serializers.CharField(source="artifact.project")
    domain = serializers.CharField(source="artifact.domain")
    artifact = serializers.CharField(source="artifact.name")
    version_id = serializers.IntegerField(allow_null=True, help_text="null: every version of the artifact")
    version = serializers.CharField(source="version.version", default=None, allow_null=True)
    reason = serializers.CharField()
    set_by = serializers.CharField()
    set_at = serializers.DateTimeField()
    released_by = serializers.CharField()
    released_at = serializers.DateTimeField(allow_null=True)
    release_reason = serializers.CharField()


class HoldFilters(ScopeFilters):
    artifact = serializers.CharField(required=False)
    version = serializers.IntegerField(required=False, help_text="its id")
    kind = serializers.ChoiceField(choices=Hold.Kind.choices, required=False)
    released = serializers.BooleanField(required=False, default=False, help_text="those too that were released")


class HoldsView(ListView):
    newest_by = "set_at"

    @extend_schema(parameters=[HoldFilters], responses=HoldOut(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        """What is held, newest first."""
        filters = read_query(HoldFilters, request)
        columns = {"project": "artifact__project", "domain": "artifact__domain", "artifact": "artifact__name"}
        wanted = Q() if filters.pop("released") else Q(released_at__isnull=True)
        wanted &= Q(**{columns.get(key, key): value for key, value in filters.items()})
        mine = access.readable(user_of(request), project="artifact__project", domain="artifact__domain")
        rows = Hold.objects.filter(mine, wanted).select_related("artifact", "version")
        return self.page(request, rows.defer("version__literal", "version__card", "version__terms"), HoldOut)


class HoldView(ApiView):
    @extend_schema(request=ReleaseBody, responses=HoldOut, tags=TAGS, operation_id="holds_release")
    def post(self, request: Request, hold_id: int) -> Response:
        """Release it; a legal hold with a reason."""
        user = user_of(request)
        row = access_hold(user, hold_id)
        access.require(user, NEEDS[Hold.Kind(row.kind)], *row.artifact.key[:2])
        reason = read_body(ReleaseBody, request)["reason"]
        return Response(HoldOut(release(row, reason=reason, actor=user.username)).data)


class HoldVersionView(ApiView):
    @extend_schema(request=HoldBody, responses={201: HoldOut}, tags=TAGS, operation_id="versions_hold")
    def post(self, request: Request, version_id: int) -> Response:
        """Keep the version: by a legal hold from every removal, by a pin from retention and removing by hand."""
        user, body = user_of(request), read_body(HoldBody, request)
        version = access_version_id(user, version_id, action=NEEDS[Hold.Kind(body["kind"])])
        kind = Hold.Kind(body["kind"])
        row = set_hold(kind, artifact=version.artifact, version=version, reason=body["reason"], actor=user.username)
        return Response(HoldOut(row).data, status=201)


class HoldArtifactView(ApiView):
    @extend_schema(request=HoldBody, responses={201: HoldOut}, tags=TAGS, operation_id="artifacts_hold")
    def post(self, request: Request, project: str, domain: str, name: str) -> Response:
        """A legal hold of every version of the artifact, those to come too."""
        user, body = user_of(request), read_body(HoldBody, request)
        artifact = access_artifact(user, project, domain, name, action=Action.ADMIN)
        row = set_hold(Hold.Kind(body["kind"]), artifact=artifact, reason=body["reason"], actor=user.username)
        return Response(HoldOut(row).data, status=201)


class DerivedOut(serializers.Serializer[Any]):
    version = VersionRef(allow_null=True, help_text="null: you may not read it")
    steps = serializers.IntegerField(help_text="between: 1, made of it directly")
    goes = serializers.BooleanField()
    blocked = serializers.ListField(child=serializers.CharField(), help_text="why it cannot go")


class ErasePlanOut(serializers.Serializer[Any]):
    version = VersionRef()
    blocked = serializers.ListField(child=serializers.CharField(), help_text="why it cannot be erased")
    derived = DerivedOut(many=True)
    hidden = serializers.IntegerField(help_text="derived versions that you may not read")
    bytes_before = serializers.IntegerField(help_text="in the store, of all that goes")
    bytes_after = serializers.IntegerField(help_text="of it, what others lie in too and stays")


class ErasureOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    version = serializers.CharField(source="version.version")
    version_id = serializers.IntegerField()
    reason = serializers.CharField()
    actor = serializers.CharField()
    at = serializers.DateTimeField()
    with_derived = serializers.BooleanField()
    derived = serializers.SerializerMethodField(help_text="how many versions had been made of it")
    erased = serializers.ListField(child=serializers.IntegerField(), help_text="ids of what went")
    bytes_before = serializers.IntegerField()
    bytes_after = serializers.IntegerField(allow_null=True)
    bytes_freed = serializers.SerializerMethodField()

    def get_derived(self, row: Erasure) -> int:
        return len(row.derived)

    def get_bytes_freed(self, row: Erasure) -> int | None:
        return None if row.bytes_after is None else row.bytes_before - row.bytes_after


class EraseFilters(Body):
    derived = serializers.BooleanField(required=False, default=False, help_text="everything made of it goes too")


class EraseBody(EraseFilters):
    reason = serializers.CharField(max_length=2000)


def plan_json(plan: ErasurePlan, user: Any) -> dict[str, Any]:
    known, goes = known_of(plan, user), {one.pk for one in plan.goes}
    return {
        "version": VersionRef(plan.version).data,
        "blocked": plan.blocked.get(plan.version.pk, []),
        "derived": [
            {
                "version": VersionRef(one).data,
                "steps": steps,
                "goes": one.pk in goes,
                "blocked": plan.blocked.get(one.pk, []),
            }
            for one, steps in known
        ],
        "hidden": len(plan.derived) - len(known),
        "bytes_before": plan.bytes_before,
        "bytes_after": plan.bytes_after,
    }


class EraseView(ApiView):
    @extend_schema(parameters=[EraseFilters], responses=ErasePlanOut, tags=TAGS, operation_id="versions_erase_plan")
    def get(self, request: Request, version_id: int) -> Response:
        """What erasing would do: everything that was made of the version, what goes, and the bytes before and after."""
        user = user_of(request)
        version = access_version_id(user, version_id, action=Action.ADMIN)
        plan = plan_erasure(version, derived=read_query(EraseFilters, request)["derived"])
        return Response(plan_json(plan, user))

    @extend_schema(request=EraseBody, responses=ErasureOut, tags=TAGS, operation_id="versions_erase")
    def post(self, request: Request, version_id: int) -> Response:
        """Erase it, all of it or nothing: data, value, card, metrics and metadata go; tombstones and lineage stay."""
        user = user_of(request)
        version = access_version_id(user, version_id, action=Action.ADMIN)
        body = read_body(EraseBody, request)
        done = erase(version, **body, actor=user.username, allowed=partial(require_eraser, user))
        return Response(ErasureOut(done).data)


class ErasuresView(ListView):
    newest_by = "at"

    @extend_schema(parameters=[ScopeFilters], responses=ErasureOut(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        """What was erased, newest first."""
        filters = read_query(ScopeFilters, request)
        project, domain = "version__artifact__project", "version__artifact__domain"
        mine = access.readable(user_of(request), project=project, domain=domain)
        columns = {"project": project, "domain": domain}
        rows = Erasure.objects.filter(mine, **{columns[key]: value for key, value in filters.items()})
        rows = rows.select_related("version").defer("version__literal", "version__card", "version__terms")
        return self.page(request, rows, ErasureOut)
