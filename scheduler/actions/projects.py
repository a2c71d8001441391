from __future__ import annotations

import re
from collections.abc import Mapping

from django.conf import settings
from django.db import IntegrityError, transaction
from flyteidl.admin import common_pb2

from artifacts.exceptions import AlreadyExists, InvalidArgument
from audit.record import record
from scheduler.actions.expected_inputs import check_labels
from scheduler.models import Project

MAX_NAME = 64
MAX_DESCRIPTION = 300
_IDENTIFIER = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def create_project(
    *, identifier: str, name: str = "", description: str = "", labels: Mapping[str, str] | None = None, actor: str
) -> Project:
    """A new project in all domains. AlreadyExists when there is one; its identifier is a DNS label."""
    project = Project(
        identifier=identifier, name=name or identifier, description=description, labels=dict(labels or {})
    )
    check_new(project)
    try:
        with transaction.atomic():
            project.save(force_insert=True)
            record(actor, "project.create", project, project=identifier)
    except IntegrityError:
        raise AlreadyExists(f"project [{identifier}] already exists") from None
    return project


def update_project(
    project: Project,
    *,
    name: str | None = None,
    description: str | None = None,
    labels: Mapping[str, str] | None = None,
    state: int | None = None,
    actor: str,
) -> Project:
    """Changes what is given. An archived project keeps everything, and takes no registrations or launches."""
    with transaction.atomic():
        current = Project.objects.select_for_update().get(pk=project.pk)
        if name:
            current.name = name
        if description is not None:
            current.description = description
        if labels is not None:
            current.labels = dict(labels)
        if state is not None:
            if state not in Project.State.values:
                raise InvalidArgument(f"unrecognized project state {state}")
            current.state = state
        _check(current)
        if changed := _changed(current):
            current.save()
            record(actor, "project.update", current, project=current.identifier, detail={"changed": changed})
    return current


def _changed(project: Project) -> list[str]:
    """What of a project that was read differs from what is stored."""
    stored = Project.objects.get(pk=project.pk)
    names = ("name", "description", "labels", "state")
    return [name for name in names if getattr(project, name) != getattr(stored, name)]


def check_new(project: Project) -> None:
    """InvalidArgument for what no project may be called or say of itself."""
    if not project.identifier:
        raise InvalidArgument("missing project_id")
    if not _IDENTIFIER.fullmatch(project.identifier):
        raise InvalidArgument(
            f"invalid project id [{project.identifier}]: it must consist of at most 63 lower case letters, digits and "
            "dashes, and begin and end with a letter or digit"
        )
    _check(project)


def _check(project: Project) -> None:
    if len(project.name) > MAX_NAME:
        raise InvalidArgument(f"project_name cannot exceed {MAX_NAME} characters")
    if len(project.description) > MAX_DESCRIPTION:
        raise InvalidArgument(f"project_description cannot exceed {MAX_DESCRIPTION} characters")
    check_labels(common_pb2.Labels(values=project.labels))


def domains() -> list[str]:
    """The domains of the installation; every project has all of them."""
    return list(settings.CAUSEWAY_DOMAINS)
