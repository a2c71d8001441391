from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from audit.models import AuditEvent
from scheduler.models import Channel, Subscription
from tests.console.rest.conftest import Caller, problem
from tests.console.rest.rows import make_execution
from tests.scheduler.notifications.rows import make_notification

URL = "/api/v1/subscriptions"
HOOK = {
    "project": "demo",
    "kinds": ["execution.failed", "gate.waiting"],
    "channel": "webhook",
    "address": "https://hooks.example.org/secret-path",
    "secret": "s3cret",
}


def test_an_admin_subscribes_and_unsubscribes(api: Caller, django_assert_num_queries: Any) -> None:
    client = api("ada")
    made = client.post(URL, HOOK)
    assert made.status_code == 201, made.content
    assert made.json()["signed"] is True and "s3cret" not in made.content.decode()
    assert AuditEvent.objects.get(verb="subscription.create").actor == "ada"
    assert client.get(f"{URL}/{made.json()['id']}").json() == made.json()
    with django_assert_num_queries(3):  # token, bindings, rows
        assert client.get(URL).json()["results"] == [made.json()]
    assert client.delete(f"{URL}/{made.json()['id']}").status_code == 204
    assert not Subscription.objects.exists()
    assert AuditEvent.objects.filter(verb="subscription.remove").exists()


def test_others_neither_see_nor_make_any(api: Caller) -> None:
    made = api("ada").post(URL, HOOK).json()
    for name, status in {"abe": 403, "vic": 403, "sue": 404}.items():
        problem(api(name).get(f"{URL}/{made['id']}"), status)
        problem(api(name).delete(f"{URL}/{made['id']}"), status)
        problem(api(name).post(URL, HOOK), 403)
        assert api(name).get(URL).json()["results"] == []
    assert Subscription.objects.count() == 1


@pytest.mark.parametrize(
    ("over", "word"),
    [
        ({"kinds": []}, "kinds"),
        ({"kinds": ["execution.running"]}, "kinds"),
        ({"kinds": ["execution.f*"]}, "kinds"),
        ({"domain": "moon"}, "domain"),
        ({"channel": "console"}, "address"),
        ({"artifact": "a\nb"}, "artifact"),
        ({"channel": "pigeon"}, "channel"),
        ({"address": "hooks.example.org"}, "address"),
        ({"channel": "email"}, "address"),
        ({"channel": "slack"}, "secret"),
        ({"phases": ["FAILED"]}, "phases"),
    ],
)
def test_it_explains_what_is_wrong(api: Caller, over: dict[str, Any], word: str) -> None:
    assert word in str(problem(api("ada").post(URL, HOOK | over), 400))
    assert not Subscription.objects.exists()


def test_it_shows_what_became_of_telling_without_the_address(api: Caller) -> None:
    execution = make_execution()
    make_notification(execution, error="503 try later", attempts=2)
    make_notification(execution, channel=Channel.EMAIL, address="ann@example.org", sent_at=timezone.now())
    answer = api("vic").get("/api/v1/executions/demo/development/e1/notifications")
    assert "secret-path" not in answer.content.decode()
    assert {each["to"] for each in answer.json()["results"]} == {"hooks.example.org", "ann@example.org"}
    problem(api("sue").get("/api/v1/executions/demo/development/e1/notifications"), 404)


def test_a_contributor_sends_one_again(api: Caller) -> None:
    row = make_notification(make_execution(), given_up_at=timezone.now(), attempts=12, error="gone")
    url = f"/api/v1/notifications/{row.pk}/send"
    problem(api("vic").post(url), 403)
    problem(api("sue").post(url), 404)
    again = api("ann").post(url).json()
    assert (again["attempts"], again["given_up_at"], again["error"]) == (0, None, "")
    assert AuditEvent.objects.get(verb="notification.resend").subject == "demo/development/e1"
