"""What an identifier must look like before anything is written under it."""

from __future__ import annotations

import re

from django.conf import settings
from flyteidl.core import identifier_pb2

from artifacts.exceptions import InvalidArgument
from scheduler.models import Project
from scheduler.names import MAX_NAME, problem_with

MAX_PROJECT = 64
EXECUTION_NAME = re.compile(r"[a-z][a-z0-9-]*")
MAX_EXECUTION_NAME = 63


def check_identifier(identifier: identifier_pb2.Identifier, expected: int) -> None:
    """All fields set, of the expected resource type, and short enough. Raises InvalidArgument."""
    names = identifier_pb2.ResourceType
    if identifier.resource_type != expected:
        given = names.Name(identifier.resource_type) if identifier.resource_type in names.values() else "unknown"
        raise InvalidArgument(
            f"unexpected resource type {given.lower()} for identifier {identifier.project}/{identifier.domain}/"
            f"{identifier.name}@{identifier.version}, expected {names.Name(expected).lower()} instead"
        )
    check_fields(identifier)


def check_fields(identifier: identifier_pb2.Identifier) -> None:
    for field, limit in (("project", MAX_PROJECT), ("domain", MAX_PROJECT), ("name", MAX_NAME), ("version", MAX_NAME)):
        check_text(getattr(identifier, field), field, limit)


def check_text(text: str, field: str, limit: int) -> None:
    if not text:
        raise InvalidArgument(f"missing {field}")
    if problem := problem_with(text, limit):
        raise InvalidArgument(f"{field} {problem}")


def check_project(project: str, domain: str | None) -> None:
    """The project exists and is not archived, and the domain, if one is meant, is one of the installation's."""
    state = Project.objects.filter(identifier=project).values_list("state", flat=True).first()
    check_project_state(project, domain, state)


def check_project_state(project: str, domain: str | None, state: int | None) -> None:
    """As check_project, for those who know the state already; None: there is no such project."""
    if state is None:
        raise InvalidArgument(f"project [{project}] is not registered")
    if state in (Project.State.ARCHIVED, Project.State.SYSTEM_ARCHIVED):
        raise InvalidArgument(f"project [{project}] is not active")
    if domain is not None and domain not in settings.CAUSEWAY_DOMAINS:
        known = ", ".join(settings.CAUSEWAY_DOMAINS)
        raise InvalidArgument(f"domain [{domain}] is unrecognized by system; the domains are: {known}")


def check_execution_name(name: str) -> None:
    if len(name) > MAX_EXECUTION_NAME:
        raise InvalidArgument(f"the execution name {name!r} exceeds {MAX_EXECUTION_NAME} characters")
    if not EXECUTION_NAME.fullmatch(name.lower()):
        raise InvalidArgument(
            f"the execution name {name!r} must begin with a letter and contain only letters, digits and dashes"
        )
