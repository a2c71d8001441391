"""OpenLineage: the door for events of other systems, and what they told."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts.exceptions import NotFound
from console import openlineage
from console.accounts import access
from console.accounts.models import User
from console.rest.base import ApiView, Body, Filters, ListView, ScopeFilters, read_query, user_of
from lineage.models import OutsideDataset, OutsideJob, OutsideRun, OutsideUse
from lineage.outside.events import Name
from lineage.outside.facets import shown
from lineage.outside_queries import children_of, columns_of, datasets_of, graph_of, jobs_of, uses_of_run

TAGS = ["lineage"]


class EventPlace(Body):
    project = serializers.CharField(required=False, max_length=64)
    domain = serializers.CharField(required=False, max_length=64)


class SummaryOut(serializers.Serializer[Any]):
    received = serializers.IntegerField()
    successful = serializers.IntegerField()
    failed = serializers.IntegerField()


class FailedOut(serializers.Serializer[Any]):
    index = serializers.IntegerField(help_text="in the batch, from 0")
    reason = serializers.CharField()
    retriable = serializers.BooleanField()


class TakenOut(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["success", "partial_success"])
    project = serializers.CharField()
    domain = serializers.CharField()
    versions = serializers.IntegerField(help_text="that naming rules made of outputs")
    summary = SummaryOut()
    failed_events = FailedOut(many=True)


class EventsView(ApiView):
    @extend_schema(parameters=[EventPlace], request=OpenApiTypes.OBJECT, responses={201: TakenOut}, tags=TAGS)
    def post(self, request: Request, project: str = "", domain: str = "") -> Response:
        """Take in OpenLineage events: one, or a list of up to 10,000, of which the right ones are kept.

        The same again changes nothing, and their order does not matter. `Content-Encoding: gzip` is read. They belong
        to the place that is said, else to the project of the token, else to that of CAUSEWAY_OPENLINEAGE_PLACE.
        """
        user = user_of(request)
        said = read_query(EventPlace, request)
        place = openlineage.place_for(user, project or said.get("project", ""), domain or said.get("domain", ""))
        encoding = request.headers.get("Content-Encoding", "").strip().lower()
        taken = openlineage.receive(openlineage.unpacked(request._request.body, encoding), place, user=user)
        return Response(_told(taken, place), status=201)


def _told(taken: openlineage.Taken, place: tuple[str, str]) -> dict[str, Any]:
    return {
        "status": "partial_success" if taken.failed else "success",
        "project": place[0],
        "domain": place[1],
        "versions": taken.versions,
        "summary": {
            "received": taken.received,
            "successful": taken.received - len(taken.failed),
            "failed": len(taken.failed),
        },
        "failed_events": [
            {"index": index, "reason": reason, "retriable": False} for index, reason in taken.failed[:1000]
        ],
    }


class ThingFilters(ScopeFilters):
    namespace = serializers.CharField(required=False, trim_whitespace=False)
    name = serializers.CharField(required=False, trim_whitespace=False)


class OutsideThingOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    project = serializers.CharField()
    domain = serializers.CharField()
    namespace = serializers.CharField()
    name = serializers.CharField()
    seen_at = serializers.DateTimeField(help_text="time of the last event about it")


class OutsideNeighbourOut(serializers.Serializer[Any]):
    id = serializers.IntegerField(source="pk")
    namespace = serializers.CharField()
    name = serializers.CharField()
    role = serializers.ChoiceField(choices=["input", "output"])
    runs = serializers.IntegerField()
    last = serializers.DateTimeField(allow_null=True)


class OutsideSourceOut(serializers.Serializer[Any]):
    namespace = serializers.CharField()
    name = serializers.CharField()
    field = serializers.CharField()


class OutsideColumnOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    type = serializers.CharField()
    description = serializers.CharField()
    sources = serializers.SerializerMethodField(help_text="the columns it was made of")

    @extend_schema(responses=OutsideSourceOut(many=True))
    def get_sources(self, column: Any) -> list[dict[str, str]]:
        return [dict(zip(("namespace", "name", "field"), source, strict=True)) for source in column.sources]


class OutsideDatasetOut(OutsideThingOut):
    facets = serializers.SerializerMethodField()
    columns = serializers.SerializerMethodField()
    jobs = serializers.SerializerMethodField()

    def get_facets(self, dataset: OutsideDataset) -> dict[str, Any]:
        return shown(dataset.facets)

    def get_columns(self, dataset: OutsideDataset) -> list[dict[str, Any]]:
        return [dict(OutsideColumnOut(column).data) for column in columns_of(dataset)]

    def get_jobs(self, dataset: OutsideDataset) -> list[dict[str, Any]]:
        return [dict(OutsideNeighbourOut(job).data) for job in jobs_of(dataset)]


class OutsideJobOut(OutsideThingOut):
    facets = serializers.SerializerMethodField()
    datasets = serializers.SerializerMethodField()

    def get_facets(self, job: OutsideJob) -> dict[str, Any]:
        return shown(job.facets)

    def get_datasets(self, job: OutsideJob) -> list[dict[str, Any]]:
        return [dict(OutsideNeighbourOut(dataset).data) for dataset in datasets_of(job)]


class RunFilters(ScopeFilters):
    job = serializers.IntegerField(required=False)
    state = serializers.CharField(required=False)
    run_id = serializers.UUIDField(required=False)


class OutsideRunOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    run_id = serializers.UUIDField()
    project = serializers.CharField()
    domain = serializers.CharField()
    job = OutsideThingOut()
    parent_run = serializers.UUIDField(source="parent", allow_null=True, help_text="the run that started it")
    state = serializers.CharField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    seen_at = serializers.DateTimeField()


class OutsideUseOut(serializers.Serializer[Any]):
    role = serializers.CharField()
    dataset = OutsideThingOut()
    version = serializers.SerializerMethodField(allow_null=True, help_text="of ours that it was, or became")
    refusal = serializers.CharField(help_text="why it became no version, though a rule fits")
    facets = serializers.SerializerMethodField()

    def get_version(self, use: OutsideUse) -> dict[str, Any] | None:
        version, user = use.version, self.context["user"]
        if version is None or not access.reader(user)(version.artifact.project, version.artifact.domain):
            return None
        return {"id": version.pk, "artifact": str(version.artifact), "version": version.version}

    def get_facets(self, use: OutsideUse) -> dict[str, Any]:
        return shown(use.facets)


class OutsideWholeRunOut(OutsideRunOut):
    facets = serializers.SerializerMethodField()
    uses = serializers.SerializerMethodField()
    children = serializers.SerializerMethodField()

    def get_facets(self, run: OutsideRun) -> dict[str, Any]:
        return shown(run.facets)

    def get_uses(self, run: OutsideRun) -> list[dict[str, Any]]:
        return [dict(OutsideUseOut(use, context=self.context).data) for use in uses_of_run(run)]

    def get_children(self, run: OutsideRun) -> list[dict[str, Any]]:
        return [dict(OutsideRunOut(child).data) for child in children_of(run)]


class DatasetsView(ListView):
    newest_by = "seen_at"

    @extend_schema(parameters=[ThingFilters], responses=OutsideThingOut(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        """Datasets that other systems told of."""
        return self.page(request, _readable(OutsideDataset, request, ThingFilters), OutsideThingOut)


class JobsView(ListView):
    newest_by = "seen_at"

    @extend_schema(parameters=[ThingFilters], responses=OutsideThingOut(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        """Jobs that other systems told of."""
        return self.page(request, _readable(OutsideJob, request, ThingFilters), OutsideThingOut)


class RunsView(ListView):
    newest_by = "seen_at"

    @extend_schema(parameters=[RunFilters], responses=OutsideRunOut(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        """Runs that other systems told of."""
        return self.page(request, _readable(OutsideRun, request, RunFilters).select_related("job"), OutsideRunOut)


class DatasetView(ApiView):
    @extend_schema(responses=OutsideDatasetOut, tags=TAGS)
    def get(self, request: Request, pk: int) -> Response:
        """One dataset: its columns and what these were made of, the jobs that read and write it, its facets."""
        return Response(OutsideDatasetOut(find(OutsideDataset.objects.all(), pk, user_of(request))).data)


class JobView(ApiView):
    @extend_schema(responses=OutsideJobOut, tags=TAGS)
    def get(self, request: Request, pk: int) -> Response:
        """One job: the datasets it reads and writes, its facets."""
        return Response(OutsideJobOut(find(OutsideJob.objects.all(), pk, user_of(request))).data)


class RunView(ApiView):
    @extend_schema(responses=OutsideWholeRunOut, tags=TAGS)
    def get(self, request: Request, pk: int) -> Response:
        """One run: what it read and wrote, and the versions that these were or became; runs it started; its facets."""
        user = user_of(request)
        run = find(OutsideRun.objects.select_related("job"), pk, user)
        return Response(OutsideWholeRunOut(run, context={"user": user}).data)


class OutsideEdgeOut(serializers.Serializer[Any]):
    job = serializers.IntegerField()
    dataset = serializers.IntegerField()
    role = serializers.CharField()


class OutsideGraphOut(serializers.Serializer[Any]):
    jobs = OutsideThingOut(many=True)
    datasets = OutsideThingOut(many=True)
    edges = OutsideEdgeOut(many=True)
    truncated = serializers.BooleanField()


class GraphFilters(Filters):
    project = serializers.CharField()
    domain = serializers.CharField()


class OutsideGraphView(ApiView):
    @extend_schema(parameters=[GraphFilters], responses=OutsideGraphOut, tags=TAGS)
    def get(self, request: Request) -> Response:
        """Jobs and datasets of a project's domain, and which job reads and writes which dataset."""
        place = read_query(GraphFilters, request)
        if not access.reader(user_of(request))(place["project"], place["domain"]):
            raise NotFound(f"no project {place['project']} with domain {place['domain']}")
        graph = graph_of(place["project"], place["domain"])
        edges = [{"job": job, "dataset": dataset, "role": role} for job, dataset, role in graph.edges]
        return Response(
            {
                "jobs": OutsideThingOut(graph.jobs.values(), many=True).data,
                "datasets": OutsideThingOut(graph.datasets.values(), many=True).data,
                "edges": edges,
                "truncated": graph.truncated,
            }
        )


def find(rows: QuerySet[Any], pk: int, user: User) -> Any:
    """NotFound for what there is not, and for what the user may not read."""
    found = rows.filter(access.readable(user), pk=pk).first()
    if found is None:
        raise NotFound(f"nothing that another system told of has the number {pk}")
    return found


def _readable(model: type[Model], request: Request, filters: type[Body]) -> QuerySet[Any]:
    asked = read_query(filters, request)
    if {"namespace", "name"} <= asked.keys():  # there is an index on it
        asked["key"] = Name(asked["namespace"], asked["name"]).key
    rows: QuerySet[Any] = model._default_manager.filter(access.readable(user_of(request)))
    return rows.filter(**asked)
