"""What is done leaves the same row in the audit trail, whatever door it comes through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from flyteidl.admin import execution_pb2, launch_plan_pb2, project_pb2, signal_pb2
from flyteidl.core import identifier_pb2, literals_pb2

from audit.models import AuditEvent
from console.accounts.models import User
from console.rpc import services
from console.rpc.caller import Caller
from scheduler.models import Execution, LaunchPlan, Project
from tests.console.pages.conftest import browse, cheap_passwords
from tests.console.rest import program
from tests.console.rest.conftest import Caller as Api
from tests.console.rest.conftest import api, cast, store_of_this_test
from tests.console.rest.rows import make_execution, make_gate
from tests.flyte import register_all

__all__ = ["api", "browse", "cast", "cheap_passwords", "store_of_this_test"]  # fixtures of the doors' own tests

KEY = identifier_pb2.WorkflowExecutionIdentifier(project="demo", domain="development", name="e1")
PLACE = {"project": "demo", "domain": "development"}
RUN = "/api/v1/executions/demo/development/e1"
PLAN = "demo/development/calculate_fixed"


class Doors:
    """The same person at every door."""

    def __init__(self, user: User, rest: Any, pages: Client) -> None:
        self.user, self.rest, self.pages = user, rest, pages

    def call(self, method: str, request: Any) -> None:
        methods = services.ADMIN if method in services.ADMIN else services.SIGNALS
        methods[method](request, Caller(self.user))

    def page(self, path: str, **form: str) -> None:
        assert self.pages.post(path, form).status_code == 302

    def send(self, method: str, path: str, body: Any = None) -> None:
        answer = getattr(self.rest, method)(path, body)
        assert answer.status_code < 300, answer.content


@pytest.fixture
def doors(api: Api, cast: dict[str, User], browse: Callable[[User], Client]) -> Doors:
    register_all(program.fixed)
    return Doors(cast["root"], api("root"), browse(cast["root"]))


def _written(since: int) -> list[tuple[Any, ...]]:
    found = AuditEvent.objects.filter(pk__gt=since).order_by("pk")
    return list(found.values_list("actor", "verb", "subject", "project", "domain", "detail"))


def _same(anew: Callable[[], object], *ways: Callable[[], None]) -> list[tuple[Any, ...]]:
    """The rows that each of the ways writes, on things made anew for each: the same for all."""
    rows = []
    for way in ways:
        anew()
        since = AuditEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        way()
        rows.append(_written(since))
    assert all(one == rows[0] for one in rows), rows
    return rows[0]


def _boolean(value: bool) -> literals_pb2.Literal:
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(boolean=value)))


def _run_again() -> None:
    Execution.objects.filter(name="e1").delete()
    make_gate(make_execution(), "ok")


def test_an_abort_names_its_cause_at_every_door(doors: Doors) -> None:
    written = _same(
        _run_again,
        lambda: doors.send("post", f"{RUN}/abort", {"cause": "enough"}),
        lambda: doors.call("TerminateExecution", execution_pb2.ExecutionTerminateRequest(id=KEY, cause="enough")),
        lambda: doors.page("/executions/demo/development/e1/abort/", cause="enough"),
    )
    subject = ("demo/development/e1", "demo", "development")
    assert written == [("root", "execution.abort", *subject, {"cause": "enough"})]


@pytest.mark.parametrize(("approve", "verb"), [(True, "gate.approve"), (False, "gate.reject")])
def test_a_decision_is_the_same_as_a_decision_and_as_a_value(doors: Doors, approve: bool, verb: str) -> None:
    decision = {"decision": "approve" if approve else "reject"}
    why = {} if approve else {"comment": "too old"}  # which the page asks for, and other doors take
    signal = signal_pb2.SignalSetRequest(
        id=identifier_pb2.SignalIdentifier(signal_id="ok", execution_id=KEY), value=_boolean(approve)
    )

    def gate() -> int:
        return int(Execution.objects.get(name="e1").gates.get().pk)

    written = _same(
        _run_again,
        lambda: doors.send("post", f"/api/v1/gates/{gate()}/decide", {"approve": approve}),
        lambda: doors.send("post", f"{RUN}/signals/ok", {"value": approve}),
        lambda: doors.call("SetSignal", signal),
        lambda: doors.page(f"/approvals/{gate()}/signal/", value=str(approve).lower()),
    )
    assert written == [("root", verb, "demo/development/e1/ok", "demo", "development", {})]
    explained = _same(
        _run_again,
        lambda: doors.send("post", f"/api/v1/gates/{gate()}/decide", {"approve": approve, **why}),
        lambda: doors.page(f"/approvals/{gate()}/decide/", **decision, **why),
    )
    assert explained == [("root", verb, "demo/development/e1/ok", "demo", "development", why)]


def test_an_archived_execution(doors: Doors) -> None:
    state = execution_pb2.ExecutionUpdateRequest(id=KEY, state=execution_pb2.EXECUTION_ARCHIVED)
    written = _same(
        _run_again,
        lambda: doors.send("post", f"{RUN}/archive", {"archived": True}),
        lambda: doors.call("UpdateExecution", state),
    )
    assert [(verb, detail) for _, verb, _, _, _, detail in written] == [("execution.archive", {"archived": True})]


@pytest.mark.parametrize(("verb", "on"), [("launch_plan.activate", True), ("launch_plan.deactivate", False)])
def test_a_launch_plan_that_is_switched(doors: Doors, verb: str, on: bool) -> None:
    identifier = identifier_pb2.Identifier(
        resource_type=identifier_pb2.LAUNCH_PLAN,
        project="demo",
        domain="development",
        name="calculate_fixed",
        version="v1",
    )
    state = launch_plan_pb2.ACTIVE if on else launch_plan_pb2.INACTIVE
    before = LaunchPlan.State.INACTIVE if on else LaunchPlan.State.ACTIVE
    written = _same(
        lambda: LaunchPlan.objects.filter(name="calculate_fixed").update(state=before),
        lambda: doors.send("post", f"/api/v1/launch-plans/{PLAN}/versions/v1/{verb.partition('.')[2]}"),
        lambda: doors.call("UpdateLaunchPlan", launch_plan_pb2.LaunchPlanUpdateRequest(id=identifier, state=state)),
        lambda: doors.page(f"/launch-plans/{PLAN}/state/", **({"version": "v1"} if on else {})),
    )
    assert written == [("root", verb, f"{PLAN}@v1", "demo", "development", {})]


def test_a_launch(doors: Doors) -> None:
    identifier = identifier_pb2.Identifier(
        resource_type=identifier_pb2.LAUNCH_PLAN,
        project="demo",
        domain="development",
        name="calculate_fixed",
        version="v1",
    )
    spec = execution_pb2.ExecutionSpec(launch_plan=identifier)
    asked = execution_pb2.ExecutionCreateRequest(project="demo", domain="development", name="run", spec=spec)
    body = {**PLACE, "name": "run", "launch_plan": {"name": "calculate_fixed", "version": "v1"}}
    written = _same(
        lambda: Execution.objects.filter(name="run").delete(),
        lambda: doors.send("post", "/api/v1/executions", body),
        lambda: doors.call("CreateExecution", asked),
    )
    assert written == [("root", "execution.launch", "demo/development/run", "demo", "development", {})]
    Execution.objects.filter(name="run").update(phase=4)
    since = AuditEvent.objects.latest("pk").pk
    doors.page("/executions/demo/development/run/relaunch/")
    ((_, verb, _, _, _, detail),) = _written(since)
    assert (verb, detail) == ("execution.relaunch", {"source": "demo/development/run"})


def test_a_changed_project(doors: Doors) -> None:
    form = {"name": "New", "description": "", "labels": "{}", "state": "0"}
    project = Project.objects.get(identifier="demo")
    written = _same(
        lambda: Project.objects.filter(identifier="demo").update(name="Old", description=""),
        lambda: doors.send("patch", "/api/v1/projects/demo", {"name": "New"}),
        lambda: doors.call("UpdateProject", project_pb2.Project(id="demo", name="New")),
        lambda: doors.page(f"/admin/scheduler/project/{project.pk}/change/", **form),
    )
    assert written == [("root", "project.update", "demo", "demo", "", {"changed": ["name"]})]


def test_a_new_project(doors: Doors) -> None:
    form = {"identifier": "fresh", "name": "Fresh", "description": "", "labels": "{}", "state": "0"}
    register = project_pb2.ProjectRegisterRequest(project=project_pb2.Project(id="fresh", name="Fresh"))
    written = _same(
        lambda: Project.objects.filter(identifier="fresh").delete(),
        lambda: doors.send("post", "/api/v1/projects", {"id": "fresh", "name": "Fresh"}),
        lambda: doors.call("RegisterProject", register),
        lambda: doors.page("/admin/scheduler/project/add/", **form),
    )
    assert written == [("root", "project.create", "fresh", "fresh", "", {})]
