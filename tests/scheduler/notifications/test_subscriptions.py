"""Subscriptions to any kind of happening: who is told, by the statement that writes it, and of what he may see."""

from __future__ import annotations

import json
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from artifacts.actions.publish import publish_all
from artifacts.happenings import ALIAS_MOVED, CHECK_FAILED, PUBLISHED, a_happening, happened, write
from artifacts.models import Artifact, Happening
from console.accounts.models import Role, RoleBinding, User
from scheduler.actions.subscriptions import Wish, reseal, subscribe, unsubscribe
from scheduler.models import Channel, Notification, Project, Subscription
from scheduler.notifications.deliver import deliver_due, forget_settled, send_again
from scheduler.notifications.kinds import GATE_WAITING
from tests.artifacts.governance.making import _publication
from tests.scheduler.notifications.conftest import Mailbox, Receiver

pytestmark = pytest.mark.django_db


def hook(url: str, *kinds: str) -> Subscription:
    Project.objects.get_or_create(identifier="demo")
    wish = Wish(kinds=kinds, channel=Channel.WEBHOOK, project="demo", address=url, secret="s3cret")  # noqa: S106
    return subscribe(wish, actor="ada")


def person(name: str, project: str = "", role: str = Role.VIEWER) -> User:
    user = User.objects.create(username=name, email=f"{name}@example.org")
    if project:
        RoleBinding.objects.create(user=user, project=project, role=role)
    return user


def something(project: str = "demo", **over: Any) -> Happening:
    row = happened(ALIAS_MOVED, actor="bob", subject=f"{project}/development/model:x", place=(project, "development"))
    assert row is not None
    return row


NAMES = st.sampled_from(["", "a", "ab", "a_b", "a%b", "b"])
PATTERNS = st.sampled_from(["", "*", "a", "a*", "*b", "a_b", "a%*", "\\"])
PLACES = st.sampled_from([("p", "development"), ("p", "production"), ("q", "development")])
KINDS = (CHECK_FAILED, ALIAS_MOVED, GATE_WAITING)
WISHES = st.tuples(
    st.sets(st.sampled_from(["*", "check.*", "alias.moved", "gate.waiting"]), min_size=1),
    st.sampled_from(["", "p", "q"]),
    st.sampled_from(["", "development"]),
    PATTERNS,
    PATTERNS,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wishes=st.lists(WISHES, max_size=4), kind=st.sampled_from(KINDS), place=PLACES, artifact=NAMES, plan=NAMES)
def test_those_are_told_whose_wishes_fit(
    wishes: list[Any], kind: Any, place: tuple[str, str], artifact: str, plan: str
) -> None:
    made = Artifact.objects.get_or_create(project=place[0], domain=place[1], name=artifact)[0] if artifact else None
    rows = [
        Subscription.objects.create(
            **{"kinds": list(kinds), "project": project, "domain": domain, "artifact": name, "launch_plan": wanted},
            channel=Channel.WEBHOOK,
            address=str(number),
            created_at=timezone.now(),
        )
        for number, (kinds, project, domain, name, wanted) in enumerate(wishes)
    ]
    row = a_happening(kind, actor="ada", artifact=made, place=place, subject="it", detail={"launch_plan": plan})
    write([row])
    told = {each.subscription_id for each in Notification.objects.filter(happening=row)}
    assert told == {each.pk for each in rows if _fits(each, kind.name, place, artifact, plan)}
    Subscription.objects.all().delete()


def _fits(wish: Subscription, kind: str, place: tuple[str, str], artifact: str, plan: str) -> bool:
    """The same, said plainly."""
    return (
        bool({kind, f"{kind.partition('.')[0]}.*", "*"} & set(wish.kinds))
        and wish.project in ("", place[0])
        and wish.domain in ("", place[1])
        and (not wish.artifact or (bool(artifact) and fnmatchcase(artifact, wish.artifact)))
        and (not wish.launch_plan or fnmatchcase(plan, wish.launch_plan))
    )


def test_a_publication_tells_in_its_own_statements(django_assert_num_queries: Any) -> None:
    publications = [_publication(f"v{number}", {}) for number in range(4)]
    publish_all(publications[:1], actor="ada")
    with CaptureQueriesContext(connection) as before:
        publish_all(publications[1:2], actor="ada")
    subscribe(Wish(kinds=[PUBLISHED.name], channel=Channel.CONSOLE, artifact="mod*"), actor="ann")
    with django_assert_num_queries(len(before)):
        publish_all(publications[2:], actor="ada")
    told = Notification.objects.filter(recipient="ann").order_by("pk")
    assert [row.happening.subject.rpartition("@")[2] for row in told] == ["v2", "v3"]
    assert all(row.sent_at is not None for row in told), "the console's are not sent"


def test_a_webhook_is_signed_and_its_attempts_are_kept(receiver: Receiver) -> None:
    made = hook(receiver.url, "alias.*")
    assert b"s3cret" not in bytes(made.sealed or b"")
    happening = something()
    receiver.statuses = [503]
    assert deliver_due() == 0
    Notification.objects.update(next_at=timezone.now())
    assert deliver_due() == 1
    headers, raw = receiver.taken[1]
    body = json.loads(raw)
    assert (body["event"], body["subject"], body["project"]) == ("alias.moved", happening.subject, "demo")
    assert body["message"] == f"{happening.subject} was moved" and "causeway-signature" in headers
    (row,) = Notification.objects.all()
    assert [bool(each["said"]) for each in row.log] == [True, False] and "503" in row.log[0]["said"]


def test_a_secret_opens_for_its_own_address_only(receiver: Receiver) -> None:
    made = hook("https://elsewhere.example.org/", "alias.*")
    Subscription.objects.filter(pk=made.pk).update(address=receiver.url)
    something()
    assert deliver_due() == 0 and receiver.taken == []
    assert "cannot be opened" in Notification.objects.get().error


def test_a_secret_is_sealed_anew_with_a_new_key(receiver: Receiver, settings: Any) -> None:
    hook(receiver.url, "alias.*")
    settings.CAUSEWAY_SECRETS_KEY = "another"
    assert (reseal(), reseal()) == (1, 0)
    something()
    assert deliver_due() == 1


def test_what_waits_is_not_sent_without_its_secret(receiver: Receiver) -> None:
    made = hook(receiver.url, "alias.*")
    something()
    deliver_due()
    something()
    unsubscribe(made, actor="ada")
    assert deliver_due() == 0 and len(receiver.taken) == 1
    (left,) = Notification.objects.all()
    with pytest.raises(Exception, match="subscription was removed"):
        send_again(left, actor="ada")


def test_a_person_is_told_of_what_he_may_see_at_that_moment(mailbox: Mailbox) -> None:
    ann = person("ann", "demo")
    subscribe(Wish(kinds=["*"], channel=Channel.EMAIL), actor="ann")
    something("demo")
    something("other")
    assert deliver_due() == 1
    assert [each.rcpt_tos for each in mailbox.messages] == [["ann@example.org"]]
    assert Notification.objects.count() == 1, "of the other project there is no trace"
    something("demo")
    RoleBinding.objects.filter(user=ann).delete()
    assert deliver_due() == 0 and Notification.objects.count() == 1


def test_a_person_without_a_mail_address_is_said_to_have_none(mailbox: Mailbox) -> None:
    person("ann", "demo")
    User.objects.update(email="")
    subscribe(Wish(kinds=["*"], channel=Channel.EMAIL, project=""), actor="ann")
    something()
    assert deliver_due() == 0
    assert Notification.objects.get().error == "ann has no mail address"


def test_what_was_told_long_ago_is_forgotten_and_what_waits_is_not(receiver: Receiver) -> None:
    hook(receiver.url, "alias.*")
    something()
    deliver_due()
    something()
    Notification.objects.update(created_at=timezone.now() - timedelta(days=31))
    assert forget_settled() == 1
    assert Notification.objects.get().sent_at is None
