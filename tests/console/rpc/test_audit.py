from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest
from flyteidl.admin import project_pb2
from flytekit.exceptions.base import FlyteException
from flytekit.models.launch_plan import LaunchPlanState
from flytekit.models.project import Project
from flytekit.remote import FlyteRemote

from audit.models import AuditEvent
from console.accounts import refusals
from scheduler.models import Project as ProjectRow
from tests.console.rpc import programs
from tests.console.rpc.test_dispatch import ADMIN
from tests.console.rpc.test_lists import Call
from tests.console.rpc.test_registration import SETTINGS
from tests.flyte import register_all


@pytest.fixture(autouse=True)
def _nobody_was_refused_before() -> None:
    refusals.forget()


def trail(**of: str) -> list[tuple[str, str]]:
    return list(AuditEvent.objects.filter(**of).order_by("pk").values_list("verb", "subject"))


def test_it_writes_down_registrations_and_activations(remote: FlyteRemote) -> None:
    remote.register_workflow(programs.twice, SETTINGS, version="v1")
    plan = remote.fetch_launch_plan(name=programs.twice.name)
    remote.client.update_launch_plan(plan.id, LaunchPlanState.ACTIVE)
    remote.client.update_launch_plan(plan.id, LaunchPlanState.INACTIVE)
    subject = f"demo/development/{programs.twice.name}@v1"
    written = trail()
    assert [verb for verb, _ in written if verb == "task.register"] == ["task.register"] * 2
    assert written[2:] == [
        ("workflow.register", subject),
        ("launch_plan.register", subject),
        ("launch_plan.activate", subject),
        ("launch_plan.deactivate", subject),
    ]
    assert set(AuditEvent.objects.values_list("actor", "project", "domain")) == {("admin", "demo", "development")}


def test_it_writes_down_what_is_done_to_executions_and_gates(remote: FlyteRemote) -> None:
    register_all(programs.gated)
    started = remote.execute(remote.fetch_launch_plan(name=programs.gated.name), {"number": 1}, execution_name="one")
    with pytest.raises(FlyteException):
        remote.set_signal("extra", "one", "three")
    remote.set_signal("extra", "one", 3)
    remote.reject("release", "one")
    remote.terminate(started, "enough")
    key = "demo/development/one"
    assert AuditEvent.objects.get(verb="execution.abort").detail == {"cause": "enough"}
    assert trail(actor="admin") == [
        ("execution.launch", key),
        ("gate.signal", f"{key}/extra"),
        ("gate.reject", f"{key}/release"),
        ("execution.abort", key),
    ]


def test_it_writes_down_projects(remote: FlyteRemote) -> None:
    remote.client.register_project(Project(id="other", name="Other", description=""))
    assert trail() == [("project.create", "other")]


def test_it_names_the_holder_of_the_token_and_what_was_refused(call: Call, token_of: Callable[..., str]) -> None:
    request = project_pb2.Project(id="demo", name="Renamed")
    with pytest.raises(grpc.RpcError) as error:
        call(ADMIN, "UpdateProject", request, token=token_of("vic", "viewer"))
    assert error.value.code() is grpc.StatusCode.PERMISSION_DENIED
    with pytest.raises(grpc.RpcError):  # a read
        call(
            ADMIN, "GetProject", project_pb2.ProjectGetRequest(id="demo"), token=token_of("sue", "viewer", "elsewhere")
        )
    call(ADMIN, "UpdateProject", request, token=token_of("ann", "admin"))
    rows = AuditEvent.objects.exclude(verb="token.create").order_by("pk").values_list("actor", "verb", "subject")
    assert list(rows) == [
        ("vic", "refused.admin", "flyteidl.service.AdminService.UpdateProject"),
        ("ann", "project.update", "demo"),
    ]


def test_a_change_whose_row_cannot_be_written_is_undone(
    call: Call, token_of: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = token_of("ann", "admin")

    monkeypatch.setattr("audit.record._INSERT", "SELECT %s, %s, %s, %s, %s, %s, %s FROM a_table_that_is_gone")
    with pytest.raises(grpc.RpcError) as error:
        call(ADMIN, "UpdateProject", project_pb2.Project(id="demo", name="Renamed"), token=token)
    assert error.value.code() is grpc.StatusCode.INTERNAL
    assert not ProjectRow.objects.filter(name="Renamed").exists()
