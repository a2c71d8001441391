"""Executions: list, launch, look at, and everything one can do to one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.db.models import Count, Q
from django.urls import reverse
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts.exceptions import AlreadyExists
from console.access_objects import access_execution
from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import User
from console.doing import doing_of, with_doing
from console.interfaces import inputs_of, literals_json, load_literals, outputs_of
from console.rest.base import ApiView, Body, ListView, ScopeFilters, read_body, read_query, user_of
from console.rest.fields import DoingField, EntityName, ErrorField, ExecutionPhaseField, NameOf, ResolutionField
from console.rest.launching import LaunchBody, RelaunchBody, launch_from, relaunch_from
from console.rest.nodes import WhyOut
from console.rest.waiting import WaitFilters, wait_until_ended
from scheduler.actions.executions import abort, archive
from scheduler.actions.launch import recover
from scheduler.doing import State, of_execution
from scheduler.doing.everywhere import executions_in
from scheduler.models import Execution, ExecutionMode
from scheduler.phases import ExecutionPhase, NodePhase
from scheduler.search import EXECUTIONS

TAGS = ["executions"]
_ENTITIES, _LARGE = ("launch_plan", "workflow", "task"), ("spec", "closure", "digest")
_HEAVY = [f"{entity}__{column}" for entity in _ENTITIES for column in _LARGE]


@extend_schema_field({"type": "string", "enum": ExecutionMode.names})
class ModeField(NameOf):
    choices = ExecutionMode


class ExecutionSummary(serializers.Serializer[Any]):
    project = serializers.CharField()
    domain = serializers.CharField()
    name = serializers.CharField()
    phase = ExecutionPhaseField(read_only=True)
    mode = ModeField(read_only=True)
    launch_plan = EntityName(allow_null=True)
    workflow = EntityName()
    task = EntityName(allow_null=True)
    principal = serializers.CharField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    archived = serializers.BooleanField()
    shadow = serializers.SerializerMethodField(help_text="whether it runs beside production, for a contest")
    doing = serializers.SerializerMethodField(help_text="what it does right now; null: it has ended, or is about to")
    why = serializers.SerializerMethodField(help_text="why it waits, while nothing of it runs; null: it does not")
    url = serializers.SerializerMethodField(help_text="of this execution in the API")

    @extend_schema_field(DoingField(allow_null=True))
    def get_doing(self, execution: Execution) -> dict[str, Any] | None:
        now = doing_of(execution)
        return None if now is None else dict(DoingField(now).data)

    @extend_schema_field(WhyOut(allow_null=True))
    def get_why(self, execution: Execution) -> Any:
        now = doing_of(execution)
        return None if now is None or now.why is None else WhyOut(now.why).data

    def get_shadow(self, execution: Execution) -> bool:
        return execution.shadow_id is not None

    def get_url(self, execution: Execution) -> str:
        return execution_url(self.context["request"], execution.project, execution.domain, execution.name)


class ExecutionDetail(ExecutionSummary):
    error = ErrorField(allow_null=True)
    abort_cause = serializers.CharField()
    aborted_by = serializers.CharField()
    reference = serializers.SerializerMethodField(
        help_text="what this is a relaunch or recovery of; null, as the next one: none, or one you may not read"
    )
    parent = serializers.SerializerMethodField(  # type: ignore[assignment]  # a field, not Field.parent
        help_text="the execution whose node this is"
    )
    resolution = ResolutionField(help_text="for inputs that are artifact versions: which, and how found")
    node_phases = serializers.SerializerMethodField(help_text="how many nodes are in each phase")

    def get_reference(self, execution: Execution) -> str | None:
        return self._told(execution.reference)

    def get_parent(self, execution: Execution) -> str | None:
        return self._told(execution.parent_node.execution if execution.parent_node is not None else None)

    def _told(self, other: Execution | None) -> str | None:
        user = user_of(self.context["request"])
        return other.key if other is not None and access.can(user, Action.READ, other.project, other.domain) else None

    def get_node_phases(self, execution: Execution) -> dict[str, int]:
        if execution.phase == ExecutionPhase.UNDEFINED:  # nobody has looked at it yet
            return {}
        counted = execution.nodes.values_list("phase").annotate(Count("id")).order_by("phase")
        return {NodePhase(phase).name: count for phase, count in counted}


def execution_url(request: Request, project: str, domain: str, name: str) -> str:
    return request.build_absolute_uri(reverse("rest:execution", args=[project, domain, name]))


def detail(request: Request, execution: Execution) -> dict[str, Any]:
    now = of_execution(execution)
    with_doing([execution], {execution.pk: now} if now is not None else {})
    return dict(ExecutionDetail(execution, context={"request": request}).data)


class ExecutionFilters(ScopeFilters):
    q = serializers.CharField(
        required=False,
        help_text="as in the console's search box: words, `phase:failed`, `input.learning_rate:0.1`",
    )
    phase = ExecutionPhaseField(required=False)
    launch_plan = serializers.CharField(required=False, help_text="its name")
    workflow = serializers.CharField(required=False, help_text="its name")
    task = serializers.CharField(required=False, help_text="its name")
    name = serializers.CharField(required=False)
    principal = serializers.CharField(required=False, help_text="who launched it")
    created_after = serializers.DateTimeField(required=False)
    created_before = serializers.DateTimeField(required=False)
    archived = serializers.BooleanField(required=False, default=False)
    state = serializers.ChoiceField(
        choices=[state.value for state in State], required=False, help_text="what unfinished ones do right now"
    )


_COLUMNS = {
    "launch_plan": "launch_plan__name",
    "workflow": "workflow__name",
    "task": "task__name",
    "created_after": "created_at__gte",
    "created_before": "created_at__lt",
}


def _at_present(rows: list[Execution]) -> dict[str, Any]:
    """What each of them does: looked up once for all."""
    with_doing(rows)
    return {}


class ExecutionsView(ListView):
    @extend_schema(parameters=[ExecutionFilters], responses=ExecutionSummary(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        """Executions, newest first; archived ones only when asked for."""
        filters = read_query(ExecutionFilters, request)
        if state := filters.pop("state", ""):
            filters["pk__in"] = executions_in(State(state))
        text = filters.pop("q", "")
        wanted = Q(**{_COLUMNS.get(key, key): value for key, value in filters.items()})
        rows = EXECUTIONS.narrow(Execution.objects.filter(access.readable(user_of(request)), wanted), text)
        rows = rows.select_related("launch_plan", "workflow", "task").defer("spec", "error", "counters", *_HEAVY)
        return self.page(request, rows, ExecutionSummary, context_of=_at_present)

    @extend_schema(parameters=[WaitFilters], request=LaunchBody, responses={201: ExecutionDetail}, tags=TAGS)
    def post(self, request: Request) -> Response:
        """Launch a launch plan, workflow or task. With `?wait=` the answer comes when it has ended."""
        user = user_of(request)
        wait = read_query(WaitFilters, request)["wait"]
        body = read_body(LaunchBody, request)
        try:
            return launched(request, user, lambda: launch_from(body, user=user), wait=wait)
        except AlreadyExists as error:
            url = execution_url(request, body["project"], body["domain"], body["name"])
            raise AlreadyExists(f"{error.message}: {url}", detail={"url": url}) from error


def launched(request: Request, user: User, start: Callable[[], Execution], *, wait: float) -> Response:
    """Without `wait` as it was launched: what has become of it since is for who asks, and in a storm costs as much as
    the launch."""
    execution = start()
    if wait > 0:
        wait_until_ended(execution, wait)
        execution = access_execution(user, execution.project, execution.domain, execution.name)
    body = detail(request, execution)
    return Response(body, status=201, headers={"Location": body["url"]})


class ExecutionView(ApiView):
    @extend_schema(parameters=[WaitFilters], responses=ExecutionDetail, tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str) -> Response:
        """One execution; with `?wait=` when it has ended, or the time is up."""
        wait = read_query(WaitFilters, request)["wait"]
        user = user_of(request)
        execution = access_execution(user, project, domain, name)
        if wait_until_ended(execution, wait):
            execution = access_execution(user, project, domain, name)
        return Response(detail(request, execution))


class ExecutionInputsView(ApiView):
    @extend_schema(responses={200: dict[str, Any]}, tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str) -> Response:
        """The inputs as JSON, after defaults and artifact queries were resolved."""
        execution = access_execution(user_of(request), project, domain, name)
        types = {key: each.type for key, each in inputs_of(execution.workflow).items()}
        return Response(literals_json(load_literals(execution.inputs_uri), types))


class ExecutionOutputsView(ApiView):
    @extend_schema(responses={200: dict[str, Any]}, tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str) -> Response:
        """The outputs as JSON; empty until the execution has succeeded."""
        execution = access_execution(user_of(request), project, domain, name)
        return Response(literals_json(load_literals(execution.outputs_uri), outputs_of(execution.workflow)))


class AbortBody(Body):
    cause = serializers.CharField(required=False, allow_blank=True, default="")


class AbortView(ApiView):
    @extend_schema(request=AbortBody, responses=ExecutionDetail, tags=TAGS, operation_id="executions_abort")
    def post(self, request: Request, project: str, domain: str, name: str) -> Response:
        """Abort it and everything it runs. 409 when it has ended."""
        user = user_of(request)
        body = read_body(AbortBody, request)
        execution = access_execution(user, project, domain, name, action=Action.LAUNCH)
        abort(execution, cause=body["cause"], actor=user.username)
        return Response(detail(request, access_execution(user, project, domain, name)))


class ArchiveBody(Body):
    archived = serializers.BooleanField(required=False, default=True)


class ArchiveView(ApiView):
    @extend_schema(request=ArchiveBody, responses=ExecutionDetail, tags=TAGS, operation_id="executions_archive")
    def post(self, request: Request, project: str, domain: str, name: str) -> Response:
        """Take it out of the lists, or with `archived: false` put it back."""
        user = user_of(request)
        body = read_body(ArchiveBody, request)
        execution = access_execution(user, project, domain, name, action=Action.LAUNCH)
        archive(execution, archived=body["archived"], actor=user.username)
        return Response(detail(request, access_execution(user, project, domain, name)))


class RelaunchView(ApiView):
    @extend_schema(
        parameters=[WaitFilters],
        request=RelaunchBody,
        responses={201: ExecutionDetail},
        tags=TAGS,
        operation_id="executions_relaunch",
    )
    def post(self, request: Request, project: str, domain: str, name: str) -> Response:
        """Launch the same once more; `inputs` replace those of the same name."""
        user = user_of(request)
        wait = read_query(WaitFilters, request)["wait"]
        body = read_body(RelaunchBody, request)
        execution = access_execution(user, project, domain, name, action=Action.LAUNCH)
        start = partial(relaunch_from, execution, body, user=user)
        return launched(request, user, start, wait=wait)


class RecoverBody(Body):
    name = serializers.CharField(required=False, allow_blank=True, default="", max_length=63)


class RecoverView(ApiView):
    @extend_schema(
        parameters=[WaitFilters],
        request=RecoverBody,
        responses={201: ExecutionDetail},
        tags=TAGS,
        operation_id="executions_recover",
    )
    def post(self, request: Request, project: str, domain: str, name: str) -> Response:
        """Run only what did not succeed, in a new execution. 409 while it runs."""
        user = user_of(request)
        wait = read_query(WaitFilters, request)["wait"]
        body = read_body(RecoverBody, request)
        execution = access_execution(user, project, domain, name, action=Action.LAUNCH)
        start = partial(recover, execution, name=body["name"], actor=user.username)
        return launched(request, user, start, wait=wait)
