"""Pages of workflows and tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET
from flyteidl.core import interface_pb2

from artifacts.literals import describe_type
from artifacts.literals.protobuf import message_dict, message_text
from console.access_objects import access_task, access_workflow
from console.accounts import access
from console.accounts.access import Action
from console.doing import with_doing
from console.pages import badges, graphs
from console.pages.failures import with_failures
from console.pages.responses import PageRequest, page, respond
from console.pages.run_strips import strip_of, strips_of
from console.pages.scope import in_scope
from console.pages.searching import searched_context
from console.pages.specs import GENERATED_PREFIX, NodeTitles, compiled_workflow, edges_of, task_template
from scheduler import pods
from scheduler.models import Execution, LaunchPlan, Task, Workflow
from scheduler.search import TASKS, WORKFLOWS, Searched

VERSIONS_SHOWN = 50
HEAVY = ("spec", "closure", "digest")
Entity = TypeVar("Entity", Task, Workflow)


@dataclass(frozen=True)
class Port:
    name: str
    type: str
    help: str
    artifact: str


def ports(variables: interface_pb2.VariableMap) -> list[Port]:
    """Inputs or outputs by name, with the artifact an output is published as."""
    return [
        Port(
            name,
            describe_type(variable.type),
            variable.description,
            variable.artifact_partial_id.artifact_key.name if variable.HasField("artifact_partial_id") else "",
        )
        for name, variable in sorted(variables.variables.items())
    ]


def _newest_versions(request: PageRequest, rows: QuerySet[Entity]) -> QuerySet[Entity]:
    """One row a name: its newest version."""
    model = rows.model
    newest = model.objects.filter(
        project=OuterRef("project"), domain=OuterRef("domain"), name=OuterRef("name")
    ).order_by("-created_at", "-id")
    found = in_scope(request, rows).filter(pk=Subquery(newest.values("pk")[:1])).defer(*HEAVY)
    return found.exclude(name__startswith=GENERATED_PREFIX)


def _list(request: PageRequest, rows: QuerySet[Entity], searched: Searched, what: str) -> HttpResponse:
    context = searched_context(request, _newest_versions(request, rows), searched) | {"what": what}
    context["strips"] = strips_of(request, context["page"].rows)
    return respond(request, "registry/list.html", "registry/_list.html", context, live=True)


@require_GET
@page
def list_workflows(request: PageRequest) -> HttpResponse:
    return _list(request, Workflow.objects.all(), WORKFLOWS, "workflow")


@require_GET
@page
def list_tasks(request: PageRequest) -> HttpResponse:
    return _list(request, Task.objects.all(), TASKS, "task")


def _versions(entity: Entity) -> QuerySet[Entity]:
    rows = type(entity).objects.filter(project=entity.project, domain=entity.domain, name=entity.name)
    return rows.defer(*HEAVY).order_by("-created_at", "-id")[:VERSIONS_SHOWN]


def _launch_url(request: PageRequest, route: str, entity: Workflow | Task) -> str:
    """Of the form that launches it, in this version; empty for who may not. A workflow has a plan of its name."""
    if not access.can(request.user, Action.LAUNCH, entity.project, entity.domain):
        return ""
    address = reverse(route, args=[entity.project, entity.domain, entity.name])
    return f"{address}?{urlencode({'version': entity.version})}"


@require_GET
@page
def show_workflow(request: PageRequest, project: str, domain: str, name: str) -> HttpResponse:
    workflow = access_workflow(request.user, project, domain, name, request.GET.get("version") or None)
    compiled = compiled_workflow(workflow)
    interface = compiled.primary.template.interface
    recent = Execution.objects.filter(workflow=workflow).select_related("launch_plan")
    slim = recent.defer("spec", "launch_plan__spec", "launch_plan__closure")
    plans = LaunchPlan.objects.filter(workflow__name=name, workflow__project=project, workflow__domain=domain)
    context: dict[str, Any] = {
        "entity": workflow,
        "history": strip_of(request, workflow),
        "what": "workflow",
        "versions": _versions(workflow),
        "inputs": ports(interface.inputs),
        "outputs": ports(interface.outputs),
        "recent": with_failures(with_doing(list(slim.order_by("-created_at", "-id")[:10]))),
        "launch_url": _launch_url(request, "launch-plan-launch", workflow) if plans.filter(name=name).exists() else "",
        "plans": plans.exclude(name__startswith=GENERATED_PREFIX).values_list("project", "domain", "name").distinct(),
    }
    return render(request, "registry/workflow.html", context | _drawing(compiled))


def _drawing(compiled: Any) -> dict[str, Any]:
    titles = NodeTitles(compiled)
    nodes = titles.top()
    drawing = graphs.layout([node.id for node in nodes], edges_of(compiled.primary))
    boxes = [
        {
            "title": graphs.shorten(node.name),
            "sub": graphs.shorten(f"{badges.NODE_KIND.get(node.kind, node.kind)} · {node.id}", graphs.SUB_LETTERS),
            "x": drawing.places[node.id].x,
            "y": drawing.places[node.id].y,
            "tone": "neutral",
        }
        for node in nodes
    ]
    return {"drawing": drawing, "boxes": boxes}


@require_GET
@page
def show_task(request: PageRequest, project: str, domain: str, name: str) -> HttpResponse:
    task = access_task(request.user, project, domain, name, request.GET.get("version") or None)
    template = task_template(task).template
    container = pods.described(template)
    context: dict[str, Any] = {
        "entity": task,
        "history": strip_of(request, task),
        "what": "task",
        "versions": _versions(task),
        "inputs": ports(template.interface.inputs),
        "outputs": ports(template.interface.outputs),
        "image": container.image,
        "args": " ".join(container.args),
        "resources": [(name, entry) for name, entry in message_dict(container.resources).items() for entry in entry],
        "metadata": message_text(template.metadata),
        "cache": template.metadata.discovery_version if template.metadata.discoverable else "",
        "retries": template.metadata.retries.retries,
        "launch_url": _launch_url(request, "task-launch", task),
    }
    return render(request, "registry/task.html", context)
