"""Clusters that tasks run on as pods. Kubeconfigs go in and never come out."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console import clusters, pools
from console.accounts import access
from console.accounts.access import Action
from console.rest.base import ApiView, Body, Filters, read_body, read_query, user_of
from scheduler.actions.clusters import change_cluster, read_description, remove_cluster, set_cluster
from scheduler.executors.kubernetes.kubeconfig import LARGEST

TAGS = ["clusters"]


@extend_schema_field({"oneOf": [{"type": "object"}, {"type": "string", "description": "YAML or JSON"}]})
class DescriptionField(serializers.JSONField):
    pass


class ClusterBody(Body):
    description = DescriptionField(
        required=False, help_text="settings of the cluster, as in the file CAUSEWAY_CLUSTERS, without the name"
    )
    open = serializers.BooleanField(required=False, help_text="as in the description: whether new attempts go there")
    kubeconfig = serializers.CharField(
        required=False,
        allow_blank=True,
        write_only=True,
        trim_whitespace=False,
        max_length=LARGEST,
        help_text="its text; left out: the one that was set stays; empty: none",
    )


class ClusterOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    source = serializers.CharField(  # type: ignore[assignment]  # a field, not Field.source
        help_text="`database`, or `settings file`: changed there"
    )
    open = serializers.BooleanField(help_text="whether new attempts go there")
    description = serializers.DictField()
    kubeconfig = serializers.CharField(help_text="`set`, or where it is read from; never what is in it")
    problem = serializers.CharField(help_text="why this version cannot use it; empty: it can")
    state = serializers.ChoiceField(
        choices=["open", "draining", "closed"], help_text="draining: closed, and attempts are on it still"
    )
    attempts = serializers.IntegerField(help_text="on it, that have not ended")
    alive = serializers.BooleanField(help_text="whether the process that looks after its pods is")
    seen_at = serializers.DateTimeField(allow_null=True)
    updated_by = serializers.CharField()
    updated_at = serializers.DateTimeField(allow_null=True)


class ClustersOut(serializers.Serializer[Any]):
    results = ClusterOut(many=True)


class HasOut(serializers.Serializer[Any]):
    resource = serializers.CharField()
    model = serializers.CharField(help_text="of a GPU, where its nodes say it")
    nodes = serializers.IntegerField(help_text="ready ones, that take pods")
    allocatable = serializers.FloatField(help_text="cores, bytes, devices")
    used = serializers.FloatField(help_text="what pods on these nodes ask for, anybody's")


class OverviewOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    answers = serializers.BooleanField()
    version = serializers.CharField(help_text="of Kubernetes; empty: it does not answer")
    capacity = HasOut(many=True)
    lines = serializers.ListField(child=serializers.CharField())


class PooledPodOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    phase = serializers.CharField(help_text="of the pod, in the cluster's words")
    node = serializers.CharField()
    tasks = serializers.IntegerField(help_text="that run in it")


class PoolOut(serializers.Serializer[Any]):
    key = serializers.CharField(help_text="the same for all pods that the same tasks share")
    namespace = serializers.CharField()
    project = serializers.CharField()
    domain = serializers.CharField()
    image = serializers.CharField()
    ready = serializers.IntegerField(help_text="pods that run")
    busy = serializers.IntegerField(help_text="tasks that run in them")
    pods = PooledPodOut(many=True)


class PooledAttemptOut(serializers.Serializer[Any]):
    project = serializers.CharField()
    domain = serializers.CharField()
    execution = serializers.CharField()
    node = serializers.CharField()
    index = serializers.IntegerField(help_text="item of a map; -1: none")
    namespace = serializers.CharField()
    pod = serializers.CharField()


class PoolsOut(serializers.Serializer[Any]):
    pools = PoolOut(many=True)
    attempts = PooledAttemptOut(many=True)
    problem = serializers.CharField(help_text="why the cluster does not say; empty: it does")


class KeptOut(serializers.Serializer[Any]):
    machine = serializers.CharField()
    project = serializers.CharField()
    domain = serializers.CharField()
    form = serializers.CharField(help_text="`spark`, `dask` or `ray`")
    image = serializers.CharField()
    keep = serializers.IntegerField(help_text="seconds that it waits for the next task")
    since = serializers.DateTimeField()
    in_use = serializers.BooleanField()


class KeptListOut(serializers.Serializer[Any]):
    results = KeptOut(many=True)


class KeptView(ApiView):
    @extend_schema(operation_id="kept_clusters_list", responses=KeptListOut, tags=TAGS)
    def get(self, request: Request) -> Response:
        """Spark, Dask and Ray that stay on Causeway's machines for later tasks; for administrators of the platform."""
        read_query(Filters, request)
        return Response(KeptListOut({"results": clusters.kept(user_of(request))}).data)


class ClustersView(ApiView):
    @extend_schema(operation_id="clusters_list", responses=ClustersOut, tags=TAGS)
    def get(self, request: Request) -> Response:
        """All clusters; for administrators of the platform."""
        read_query(Filters, request)
        return Response(ClustersOut({"results": clusters.shown(user_of(request))}).data)


class ClusterView(ApiView):
    @extend_schema(responses=ClusterOut, tags=TAGS)
    def get(self, request: Request, name: str) -> Response:
        """One cluster; for administrators of the platform."""
        return _answer(request, name)

    @extend_schema(request=ClusterBody, responses={200: ClusterOut, 201: ClusterOut}, tags=TAGS)
    def put(self, request: Request, name: str) -> Response:
        """Set a cluster, or replace its description. It is used within seconds."""
        user = user_of(request)
        access.require(user, Action.ADMIN)
        body = read_body(ClusterBody, request)
        _row, made = set_cluster(name, _described(body), kubeconfig_text=body.get("kubeconfig"), actor=user.username)
        return _answer(request, name, status=201 if made else 200)

    @extend_schema(request=ClusterBody, responses=ClusterOut, tags=TAGS)
    def patch(self, request: Request, name: str) -> Response:
        """Change what is named of the description (a JSON merge patch: null takes a setting away)."""
        user = user_of(request)
        row = clusters.access_cluster(user, name).changeable()
        body = read_body(ClusterBody, request)
        change_cluster(row, _described(body), kubeconfig_text=body.get("kubeconfig"), actor=user.username)
        return _answer(request, name)

    @extend_schema(responses={204: None}, tags=TAGS)
    def delete(self, request: Request, name: str) -> Response:
        """Remove a cluster on which no attempts are."""
        user = user_of(request)
        remove_cluster(clusters.access_cluster(user, name).changeable(), actor=user.username)
        return Response(status=204)


class OverviewView(ApiView):
    @extend_schema(responses=OverviewOut, tags=TAGS)
    def get(self, request: Request, name: str) -> Response:
        """What the cluster has and what is missing there, asked of the cluster now."""
        found = clusters.access_cluster(user_of(request), name)
        seen = clusters.overview(found)
        told = {"name": name, "answers": bool(seen.version), "version": seen.version}
        return Response(OverviewOut({**told, "capacity": seen.has, "lines": seen.lines}).data)


class PoolsView(ApiView):
    @extend_schema(responses=PoolsOut, tags=TAGS)
    def get(self, request: Request, name: str) -> Response:
        """Pods that stay, asked of the cluster now, and the attempts that run in them (500 at most)."""
        found = clusters.access_cluster(user_of(request), name)
        return Response(PoolsOut(pools.pools(found)).data)


def _described(body: dict[str, Any]) -> dict[str, Any]:
    given = read_description(body.get("description", {}))
    return {**given, **({"open": body["open"]} if "open" in body else {})}


def _answer(request: Request, name: str, status: int = 200) -> Response:
    return Response(ClusterOut(clusters.access_cluster(user_of(request), name)).data, status=status)
