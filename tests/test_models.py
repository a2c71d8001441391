from __future__ import annotations

import pytest

from scheduler.models import Project


@pytest.mark.django_db
def test_it_stores_a_project() -> None:
    Project.objects.create(identifier="flytesnacks", name="flytesnacks")
    assert Project.objects.count() == 1
