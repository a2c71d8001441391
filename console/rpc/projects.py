from __future__ import annotations

from flyteidl.admin import project_pb2, version_pb2

from artifacts.exceptions import InvalidArgument
from console.accounts import access
from console.accounts.access import Action
from console.rpc.caller import Caller
from console.rpc.convert import registry
from console.rpc.requests import MAX_LIMIT, missing, sorted_page
from scheduler.actions.projects import create_project
from scheduler.actions.projects import update_project as update
from scheduler.queries import get_project as find_project
from scheduler.queries import list_projects as find_projects

FLYTE_VERSION = "v1.16.8"


def register_project(
    request: project_pb2.ProjectRegisterRequest, caller: Caller
) -> project_pb2.ProjectRegisterResponse:
    if not request.HasField("project"):
        raise missing("project")
    project = request.project
    if not project.name:
        raise missing("project_name")
    _refuse_domains(project)
    caller.may(Action.ADMIN)
    create_project(
        identifier=project.id,
        name=project.name,
        description=project.description,
        labels=project.labels.values,
        actor=caller.name,
    )
    return project_pb2.ProjectRegisterResponse()


def _refuse_domains(project: project_pb2.Project) -> None:
    if project.domains:
        raise InvalidArgument("domains are set for the whole platform; retry without domains in the request")


def update_project(request: project_pb2.Project, caller: Caller) -> project_pb2.ProjectUpdateResponse:
    if not request.id:
        raise missing("project_id")
    _refuse_domains(request)
    caller.may(Action.ADMIN, request.id)
    update(
        find_project(request.id),
        name=request.name or None,
        description=request.description or None,
        labels=request.labels.values if request.HasField("labels") else None,
        state=request.state,
        actor=caller.name,
    )
    return project_pb2.ProjectUpdateResponse()


def get_project(request: project_pb2.ProjectGetRequest, caller: Caller) -> project_pb2.Project:
    if not request.id:
        raise missing("project_id")
    caller.may(Action.READ, request.id)
    return registry.project(find_project(request.id))


def list_projects(request: project_pb2.ProjectListRequest, caller: Caller) -> project_pb2.Projects:
    """Those the caller may see. No limit means all of them, here as in Flyte."""
    limit = request.limit or MAX_LIMIT
    wanted = sorted_page(request.sort_by, limit=limit, token=request.token, filters=request.filters)
    rows, token = find_projects(wanted, visible=access.known_projects(caller.user))
    return project_pb2.Projects(projects=[registry.project(row) for row in rows], token=token)


def get_domains(request: project_pb2.GetDomainRequest, caller: Caller) -> project_pb2.GetDomainsResponse:
    return project_pb2.GetDomainsResponse(domains=registry.domains())


def get_version(request: version_pb2.GetVersionRequest, caller: Caller | None) -> version_pb2.GetVersionResponse:
    """The version of Flyte's API that is spoken: clients decide by it what they may send."""
    version = version_pb2.Version(Version=FLYTE_VERSION, Build="causeway")
    return version_pb2.GetVersionResponse(control_plane_version=version)
