from __future__ import annotations

import pytest

from artifacts.exceptions import AlreadyExists, InvalidArgument
from scheduler.actions.named_entities import update_named_entity
from scheduler.actions.projects import create_project, domains, update_project
from scheduler.models import NamedEntity, Project, ResourceType

pytestmark = pytest.mark.django_db


def test_it_creates_and_changes_a_project() -> None:
    project = create_project(identifier="ocean", description="d", labels={"team": "a"}, actor="ann")
    assert (project.name, project.state) == ("ocean", Project.State.ACTIVE)
    changed = update_project(project, name="Ocean", state=Project.State.ARCHIVED, actor="ann")
    assert (changed.name, changed.description, changed.labels) == ("Ocean", "d", {"team": "a"})
    assert Project.objects.get().state == Project.State.ARCHIVED
    assert domains() == ["development", "staging", "production"]


def test_it_refuses_a_second_project_of_an_identifier() -> None:
    create_project(identifier="ocean", actor="ann")
    with pytest.raises(AlreadyExists, match="project \\[ocean\\] already exists"):
        create_project(identifier="ocean", actor="bob")


@pytest.mark.parametrize("identifier", ["", "Ocean", "-ocean", "ocean-", "a/b", "a" * 64, "ö"])
def test_it_refuses_identifiers_that_are_no_dns_label(identifier: str) -> None:
    with pytest.raises(InvalidArgument):
        create_project(identifier=identifier, actor="ann")


def test_it_refuses_overlong_texts_and_unknown_states() -> None:
    project = create_project(identifier="ocean", actor="ann")
    for change in ({"name": "n" * 65}, {"description": "d" * 301}, {"labels": {"a b": "c"}}, {"state": 9}):
        with pytest.raises(InvalidArgument):
            update_project(project, **change, actor="ann")
    assert Project.objects.get().name == "ocean"


def test_it_describes_and_archives_a_name() -> None:
    entity = NamedEntity.objects.create(
        resource_type=ResourceType.TASK, project="ocean", domain="development", name="t"
    )
    update_named_entity(entity, description="what it does", archived=True, actor="ann")
    stored = NamedEntity.objects.get()
    assert (stored.description, stored.archived) == ("what it does", True)
    with pytest.raises(InvalidArgument, match="description cannot exceed"):
        update_named_entity(entity, description="d" * 301, archived=True, actor="ann")
