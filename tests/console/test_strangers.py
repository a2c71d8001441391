"""A stranger is told nothing: what he may not read answers at every route as what does not exist."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Model
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from artifacts.actions.aliases import move_alias
from artifacts.actions.retention import set_policy
from artifacts.models import Artifact, ArtifactVersion
from console.accounts import tokens
from console.accounts.models import RoleBinding, User
from scheduler.actions.subscriptions import Wish, subscribe
from scheduler.models import (
    Channel,
    Gate,
    LaunchPlan,
    Notification,
    Schedule,
    Subscription,
    TaskExecution,
    Trigger,
    TriggerFiring,
)
from tests.console.pages.cast import World
from tests.console.pages.conftest import browse, cheap_passwords, world
from tests.scheduler.notifications.rows import make_notification

__all__ = ["browse", "cheap_passwords", "world"]

MODELS: dict[str, type[Model]] = {
    "artifact_id": Artifact,
    "version_id": ArtifactVersion,
    "other_id": ArtifactVersion,
    "gate_id": Gate,
    "trigger_id": Trigger,
    "schedule_id": Schedule,
    "firing_id": TriggerFiring,
    "subscription_id": Subscription,
    "notification_id": Notification,
    "binding_id": RoleBinding,
    "attempt_id": TaskExecution,
}
PLACE = {"project": "demo", "domain": "development"}
# What there is, by the first part of an address.
THERE = {
    "artifacts": {"name": "ml-model", "version": "e0.n0.0.o0", "alias": "champion"},
    "executions": {"name": "atrains", "node_id": "n0", "signal_id": "approve_model", "attempt": "0"},
    "launch-plans": {"name": "train_on_dataset", "version": "v1"},
    "workflows": {"name": "tests.console.pages.program.training", "version": "v1"},
    "tasks": {"name": "tests.console.pages.program.train", "version": "v1"},
    "projects": {"kind": "task_resource"},
}
GHOST_ID, GHOST_NAME = "99999999", "ghost"
OWN = ("token_id",)  # only one's own are looked for


def routes(patterns: list[Any], prefix: str = "") -> Iterator[str]:
    for each in patterns:
        route = prefix + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from routes(each.url_patterns, route)
        elif (
            isinstance(each, URLPattern)
            and "<" in route
            and not re.match(r"admin/|console/|static|objects|[^<]*\^", route)
        ):
            yield route


def address(route: str, values: dict[str, str]) -> str:
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: values.get(found[1], "x"), route)


def blurred(text: str, *, of: dict[str, str], beside: dict[str, str]) -> str:
    """Without what the request itself said, and what differs from answer to answer."""
    said = {value for key, value in of.items() if beside[key] != value}
    for value in sorted(said, key=len, reverse=True):
        if not value.isdecimal():
            text = text.replace(value, "*")
    text = re.sub(r"\d+", "0", text)
    return re.sub(r'name="csrfmiddlewaretoken" value="[^"]*"', "", text)


@pytest.fixture
def filled(world: World) -> dict[str, str]:
    """The ids of what there is of every kind; the world with the rest that it lacks."""
    move_alias(world.model, "champion", actor="admin")
    set_policy(world.model.artifact, keep_newest=1, actor="admin")
    plan = LaunchPlan.objects.get(name="train_on_dataset")
    Schedule.objects.create(
        launch_plan=plan, kind=Schedule.Kind.RATE, expression="60", offset_seconds=0, kickoff_input=""
    )
    wish = Wish(kinds=["execution.failed"], project="demo", channel=Channel.EMAIL, address="a@example.org")
    subscribe(wish, actor="admin")
    make_notification(world.failed, next_at=timezone.now() + timedelta(hours=1))
    found = {name: str(model.objects.order_by("pk")[0].pk) for name, model in MODELS.items()}  # type: ignore[attr-defined]
    return found | {"binding_id": str(RoleBinding.objects.get(user=world.viewer).pk)}


def test_whatever_is_not_his_is_not_there(
    world: World, browse: Callable[[User], Client], filled: dict[str, str]
) -> None:
    pages, bearer = browse(world.outsider), f"Bearer {tokens.create(world.outsider, 'test')[1]}"
    walked = 0
    for route in routes(get_resolver().url_patterns):
        if any(f":{own}>" in route for own in OWN):
            continue
        first = route.removeprefix("api/v1/").partition("/")[0]
        names = THERE.get(first, {})
        if not re.search(rf"<\w+:({'|'.join([*MODELS, 'name', 'project'])})>", route):
            continue
        there = PLACE | names | filled
        ghost = PLACE | dict.fromkeys(names, GHOST_NAME) | dict.fromkeys(filled, GHOST_ID)
        if first == "projects":
            ghost |= {"project": GHOST_NAME} | names
        for method in ("get", "post", "put", "patch", "delete"):
            answers = []
            for values, beside in ((there, ghost), (ghost, there)):
                headers = {"HTTP_AUTHORIZATION": bearer} if route.startswith("api/") else {}
                client = Client() if headers else pages
                answer = getattr(client, method)(address(route, values), **headers)
                answers.append((answer.status_code, blurred(answer.content.decode(), of=values, beside=beside)))
            assert answers[0] == answers[1], f"{method} {route}"
            assert answers[0][0] in (302, 400, 403, 404, 405, 415), f"{method} {route}: {answers[0]}"
            walked += answers[0][0] == 404
    assert walked > 100, "most routes were asked for what is there"
