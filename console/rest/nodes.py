"""Nodes and attempts of an execution: phases, values, logs, decks, and the timeline."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts.exceptions import NotFound
from console.access_objects import access_attempt, access_execution, access_node
from console.doing import attempts_with_doing, doing_of_attempt, doing_of_node, nodes_with_doing
from console.interfaces import literals_json, load_literals
from console.jobs import jobs_of, links_of
from console.logs import DEFAULT_BYTES, MAX_BYTES, read_log_of
from console.pods import pod_of, waiting_of
from console.rest.base import ApiView, Filters, ListView, read_query, user_of
from console.rest.fields import AttemptPhaseField, DoingField, ErrorField, NodePhaseField
from console.sandbox import sandboxed_deck
from scheduler.attempts import replicas
from scheduler.executors.kubernetes.links import by_name
from scheduler.models import NodeExecution, NodeKind, PhaseEvent, TaskExecution
from scheduler.phases import AttemptPhase, ExecutionPhase, Machine, NodePhase
from scheduler.quotas import why

TAGS = ["executions"]
ATTEMPTS_IN_DETAIL = 100


class NodeSummary(serializers.Serializer[Any]):
    node_id = serializers.CharField()
    kind = serializers.ChoiceField(choices=NodeKind.choices)
    phase = NodePhaseField(read_only=True)
    parent = serializers.CharField(  # type: ignore[assignment]  # a field, not Field.parent
        source="parent.node_id", default=None, allow_null=True
    )
    attempts = serializers.IntegerField()
    error = ErrorField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    has_deck = serializers.SerializerMethodField()
    doing = serializers.SerializerMethodField(help_text="what it does right now; null: nothing of it is active")

    @extend_schema_field(DoingField(allow_null=True))
    def get_doing(self, node: NodeExecution) -> dict[str, Any] | None:
        now = doing_of_node(node)
        return None if now is None else dict(DoingField(now).data)

    def get_has_deck(self, node: NodeExecution) -> bool:
        return bool(node.deck_uri)


class WaitingOut(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="a word that stays the same, such as Unschedulable; empty: none was given")
    message = serializers.CharField()
    since = serializers.DateTimeField()


class WhyOut(serializers.Serializer[Any]):
    """Why something waits."""

    code = serializers.ChoiceField(choices=why.CODES)
    message = serializers.CharField(help_text="with the numbers of now")
    since = serializers.DateTimeField()
    place = serializers.IntegerField(help_text="in line, 1 is next; 0: none, or not worked out in lists")
    of = serializers.IntegerField(help_text="how many stand in that line; 0: not worked out in lists")
    starts_at = serializers.DateTimeField(
        allow_null=True, help_text="about, from how long the like took before; null: nobody can tell, and in lists"
    )


class AttemptOut(serializers.Serializer[Any]):
    attempt = serializers.IntegerField()
    index = serializers.IntegerField(help_text="item of a map; -1: not a map")
    phase = AttemptPhaseField(read_only=True)
    executor = serializers.CharField()
    cluster = serializers.CharField(help_text="on which it is, or was, a pod; empty: on none")
    namespace = serializers.SerializerMethodField()
    pod = serializers.SerializerMethodField(help_text="its name; empty: it is not made yet")
    kubectl = serializers.SerializerMethodField(help_text="commands that show the pod and follow its log")
    log_links = serializers.SerializerMethodField(help_text="its log in other systems: address by name")
    connector = serializers.SerializerMethodField(help_text="whose job it is, or was; empty: of none")
    custom_info = serializers.SerializerMethodField(help_text="what the connector says of the job")
    waiting = serializers.SerializerMethodField(help_text="for what, in the cluster's words; null: for nothing")
    why = serializers.SerializerMethodField(help_text="why it waits, in words of a closed list; null: it does not")
    reason = serializers.CharField()
    error = ErrorField(allow_null=True)
    error_retryable = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)

    def get_namespace(self, row: TaskExecution) -> str:
        return pod.namespace if (pod := pod_of(row, {})) else ""

    def get_pod(self, row: TaskExecution) -> str:
        return pod.name if (pod := pod_of(row, {})) else ""

    def get_kubectl(self, row: TaskExecution) -> list[str]:
        return list(pod.kubectl) if (pod := pod_of(row, self.context.get("clusters"))) else []

    def get_log_links(self, row: TaskExecution) -> dict[str, str]:
        pod = pod_of(row, self.context.get("clusters"))
        return dict(pod.links if pod else links_of(self.context.get("jobs", {}).get(row.pk)))

    @extend_schema_field(serializers.CharField())
    def get_connector(self, row: TaskExecution) -> str:
        job = self.context.get("jobs", {}).get(row.pk)
        return job.connector if job is not None else ""

    @extend_schema_field(serializers.DictField())
    def get_custom_info(self, row: TaskExecution) -> dict[str, Any]:
        job = self.context.get("jobs", {}).get(row.pk)
        return dict(job.info) if job is not None else {}

    @extend_schema_field(WaitingOut(allow_null=True))
    def get_waiting(self, row: TaskExecution) -> Any:
        waiting = waiting_of(row)
        return None if waiting is None else WaitingOut(waiting).data

    @extend_schema_field(WhyOut(allow_null=True))
    def get_why(self, row: TaskExecution) -> Any:
        now = doing_of_attempt(row)
        return None if now is None or now.why is None else WhyOut(now.why).data


class ReplicaOut(serializers.Serializer[Any]):
    """One of the processes of a distributed job."""

    name = serializers.CharField(help_text="its role and number, such as worker-1")
    role = serializers.CharField()
    index = serializers.IntegerField()
    state = serializers.CharField(help_text="waiting, running, succeeded, failed or stopped")
    reason = serializers.CharField()
    pod = serializers.CharField()
    node = serializers.CharField(help_text="the machine it is on")
    exit_code = serializers.IntegerField(allow_null=True)
    restarts = serializers.IntegerField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)


class NodeDetail(NodeSummary):
    child_executions = serializers.SerializerMethodField()
    newest_attempts = serializers.SerializerMethodField(help_text=f"at most {ATTEMPTS_IN_DETAIL}")

    def get_child_executions(self, node: NodeExecution) -> list[str]:
        return [child.key for child in node.child_executions.only("project", "domain", "name").order_by("id")]

    @extend_schema_field(AttemptOut(many=True))
    def get_newest_attempts(self, node: NodeExecution) -> Any:
        rows = list(node.task_executions.defer("command").order_by("-id")[:ATTEMPTS_IN_DETAIL])
        return AttemptOut(rows, many=True, context=_contexts(rows)).data


class NodeFilters(Filters):
    phase = NodePhaseField(required=False)
    parent = serializers.CharField(  # type: ignore[assignment]  # a field, not Field.parent
        required=False, help_text="only the children of this node"
    )


class NodesView(ListView):
    @extend_schema(parameters=[NodeFilters], responses=NodeSummary(many=True), tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str) -> Response:
        """The nodes that have begun or were skipped, newest first."""
        filters = read_query(NodeFilters, request)
        if "parent" in filters:
            filters["parent__node_id"] = filters.pop("parent")
        execution = access_execution(user_of(request), project, domain, name)
        rows = execution.nodes.filter(**filters).select_related("parent").defer("state", "parent__state")

        def at_present(shown: list[NodeExecution]) -> dict[str, Any]:
            nodes_with_doing(execution, shown)
            return {}

        return self.page(request, rows, NodeSummary, context_of=at_present)


class NodeView(ApiView):
    @extend_schema(responses=NodeDetail, tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str, node_id: str) -> Response:
        """One node with its newest attempts."""
        execution = access_execution(user_of(request), project, domain, name)
        return Response(NodeDetail(access_node(execution, node_id)).data)


class NodeInputsView(ApiView):
    @extend_schema(responses={200: dict[str, Any]}, tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str, node_id: str) -> Response:
        """The node's inputs as JSON."""
        execution = access_execution(user_of(request), project, domain, name)
        return Response(literals_json(load_literals(access_node(execution, node_id).input_uri)))


class NodeOutputsView(ApiView):
    @extend_schema(responses={200: dict[str, Any]}, tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str, node_id: str) -> Response:
        """The node's outputs as JSON; empty until it has succeeded."""
        execution = access_execution(user_of(request), project, domain, name)
        return Response(literals_json(load_literals(access_node(execution, node_id).output_uri)))


class DeckView(ApiView):
    @extend_schema(responses={(200, "text/html"): OpenApiTypes.STR}, tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str, node_id: str) -> HttpResponseBase:
        """The deck as HTML, sandboxed: its scripts run without access to this origin."""
        execution = access_execution(user_of(request), project, domain, name)
        node = access_node(execution, node_id)
        if not node.deck_uri:
            raise NotFound(f"node {node_id} in {execution.key} has no deck")
        return sandboxed_deck(node.deck_uri)


class AttemptFilters(Filters):
    phase = AttemptPhaseField(required=False)
    index = serializers.IntegerField(required=False, min_value=0, help_text="item of a map")


class AttemptsView(ListView):
    @extend_schema(parameters=[AttemptFilters], responses=AttemptOut(many=True), tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str, node_id: str) -> Response:
        """Every attempt of a node, newest first; of a map, those of all its items."""
        filters = read_query(AttemptFilters, request)
        execution = access_execution(user_of(request), project, domain, name)
        rows = access_node(execution, node_id).task_executions.filter(**filters).defer("command")
        return self.page(request, rows, AttemptOut, context_of=_contexts)


def _contexts(rows: list[TaskExecution]) -> dict[str, Any]:
    """For AttemptOut: asked for once, and only where a pod is, or something waits. A single one has its place too."""
    attempts_with_doing(rows)
    return {"clusters": by_name() if any(row.cluster for row in rows) else {}, "jobs": jobs_of(rows)}


class ReplicaFilters(Filters):
    index = serializers.IntegerField(required=False, default=-1, help_text="item of a map")


class ReplicasView(ApiView):
    @extend_schema(parameters=[ReplicaFilters], responses=ReplicaOut(many=True), tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str, node_id: str, attempt: int) -> Response:
        """The replicas of an attempt that is a distributed job, as they were last seen; none of any other attempt."""
        wanted = read_query(ReplicaFilters, request)
        execution = access_execution(user_of(request), project, domain, name)
        row = access_attempt(access_node(execution, node_id), attempt, wanted["index"])
        return Response(ReplicaOut(replicas.of(row), many=True).data)


class LogFilters(Filters):
    replica = serializers.CharField(required=False, default="", help_text="of a distributed job, such as worker-1")
    index = serializers.IntegerField(required=False, default=-1, help_text="item of a map")
    tail = serializers.IntegerField(required=False, min_value=1, max_value=100_000, help_text="only the last lines")
    offset = serializers.IntegerField(required=False, min_value=0, default=0, help_text="bytes already read")
    limit = serializers.IntegerField(required=False, min_value=1, max_value=MAX_BYTES, default=DEFAULT_BYTES)


class LogView(ApiView):
    @extend_schema(parameters=[LogFilters], responses={(200, "text/plain"): OpenApiTypes.STR}, tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str, node_id: str, attempt: int) -> HttpResponse:
        """The log of an attempt, also while it runs. `Causeway-Next-Offset` is the `offset` that continues it."""
        wanted = read_query(LogFilters, request)
        execution = access_execution(user_of(request), project, domain, name)
        row = access_attempt(access_node(execution, node_id), attempt, wanted["index"])
        part = read_log_of(
            row, offset=wanted["offset"], limit=wanted["limit"], tail=wanted.get("tail"), replica=wanted["replica"]
        )
        response = HttpResponse(part.data, content_type="text/plain; charset=utf-8")
        response["Causeway-Next-Offset"] = str(part.next_offset)
        response["X-Content-Type-Options"] = "nosniff"
        return response


class EventOut(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    machine = serializers.ChoiceField(choices=Machine.choices)
    subject = serializers.SerializerMethodField(help_text="node id, or the attempt's name; empty for the execution")
    from_phase = serializers.SerializerMethodField()
    to_phase = serializers.SerializerMethodField()
    reason = serializers.CharField()
    actor = serializers.CharField()

    def get_subject(self, event: PhaseEvent) -> str:
        names: dict[tuple[str, int], str] = self.context["names"]
        return names.get((event.machine, event.object_id), "")

    def get_from_phase(self, event: PhaseEvent) -> str:
        return _PHASES[event.machine](event.from_phase).name

    def get_to_phase(self, event: PhaseEvent) -> str:
        return _PHASES[event.machine](event.to_phase).name


_PHASES: dict[str, type[ExecutionPhase] | type[NodePhase] | type[AttemptPhase]] = {
    Machine.EXECUTION: ExecutionPhase,
    Machine.NODE: NodePhase,
    Machine.ATTEMPT: AttemptPhase,
}


class EventsView(ListView):
    newest_by = "at"

    @extend_schema(responses=EventOut(many=True), tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str) -> Response:
        """Every change of phase of the execution, its nodes and attempts, newest first, with why and by whom."""
        read_query(Filters, request)
        execution = access_execution(user_of(request), project, domain, name)
        paginator = self.pagination_class()
        rows = PhaseEvent.objects.filter(execution_id=execution.pk)
        events: list[PhaseEvent] = paginator.paginate_queryset(rows, request, self)
        data = EventOut(events, many=True, context={"names": _subjects(events)}).data
        return paginator.get_paginated_response(data)


def _subjects(events: list[PhaseEvent]) -> dict[tuple[str, int], str]:
    """What the events' nodes and attempts are called: two queries a page."""
    nodes = [event.object_id for event in events if event.machine == Machine.NODE]
    attempts = [event.object_id for event in events if event.machine == Machine.ATTEMPT]
    names: dict[tuple[str, int], str] = {}
    for pk, node_id in NodeExecution.objects.filter(pk__in=nodes).values_list("pk", "node_id"):
        names[Machine.NODE, pk] = node_id
    for pk, name in TaskExecution.objects.filter(pk__in=attempts).values_list("pk", "name"):
        names[Machine.ATTEMPT, pk] = name
    return names
