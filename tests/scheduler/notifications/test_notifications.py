from __future__ import annotations

import email
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from email.message import Message
from typing import cast
from unittest.mock import patch

import pytest
from django.db import connection, transaction
from django.utils import timezone
from flyteidl.admin import common_pb2, execution_pb2
from flyteidl.core import execution_pb2 as core_execution_pb2
from flytekit import approve, task, workflow
from pytest_django import Settings

from artifacts.exceptions import InvalidArgument
from scheduler.actions.executions import abort
from scheduler.actions.gates import decide
from scheduler.actions.launch import LaunchRequest, launch
from scheduler.actions.subscriptions import Wish, subscribe
from scheduler.models import Channel, Execution, Gate, Notification, Project, Subscription
from scheduler.notifications import deliver, smtp, webhooks
from scheduler.notifications.deliver import deliver_due, send_again
from scheduler.phases import ExecutionPhase
from tests.lineage.test_outgoing import drips, serving
from tests.scheduler.driving import Driver, TaskFailed, start, workflow_of
from tests.scheduler.notifications.conftest import Mailbox, Receiver

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]


Capture = Callable[..., AbstractContextManager[list[object]]]


@task
def double(a: int) -> int:
    return 2 * a


@workflow
def plain(a: int) -> int:
    return double(a=a)


@workflow
def approved(a: int) -> int:
    return double(a=approve(double(a=a), "is-it-good", timeout=timedelta(hours=1)))


def boom(a: int) -> int:
    raise TaskFailed("no more snow\nin the north")


SUCCEED = Driver({"double": lambda a: 2 * a})
FAIL = Driver({"double": boom})


def _core(phase: ExecutionPhase) -> core_execution_pb2.WorkflowExecution.Phase:
    return cast("core_execution_pb2.WorkflowExecution.Phase", phase.value)


def mails_for(*phases: ExecutionPhase, to: str = "ann@example.org") -> execution_pb2.NotificationList:
    rule = common_pb2.Notification(
        phases=[_core(each) for each in phases], email=common_pb2.EmailNotification(recipients_email=[to])
    )
    return execution_pb2.NotificationList(notifications=[rule])


def webhook(url: str, *kinds: str, **over: str) -> Subscription:
    fields = {"project": "demo", **over}
    Project.objects.get_or_create(identifier=fields["project"])
    wish = Wish(kinds=kinds or ["execution.*", "gate.*"], channel=Channel.WEBHOOK, address=url, **fields)
    return subscribe(wish, actor="ada")


def read(raw: object) -> Message:
    assert isinstance(raw, bytes)
    return email.message_from_bytes(raw)


def due_now() -> None:
    """As if the wait were over."""
    Notification.objects.update(next_at=timezone.now())


class TestMail:
    def test_it_tells_of_the_end_that_was_asked_for(self, mailbox: Mailbox) -> None:
        rules = mails_for(ExecutionPhase.FAILED)
        good = SUCCEED.run(start(workflow_of(plain), {"a": 1}, notifications=rules))
        bad = FAIL.run(start(workflow_of(plain), {"a": 1}, notifications=rules))
        assert (good.phase, bad.phase) == (ExecutionPhase.SUCCEEDED, ExecutionPhase.FAILED)
        assert deliver_due() == 1
        (taken,) = mailbox.messages
        message = read(taken.content)
        assert taken.rcpt_tos == ["ann@example.org"]
        assert bad.key in message["Subject"] and "failed" in message["Subject"]
        text = message.get_payload()
        assert "no more snow" in text and f"http://localhost:8000/executions/{bad.key}/" in text
        assert deliver_due() == 0

    @pytest.mark.parametrize("kind", ["email", "slack", "pager_duty"])
    def test_every_kind_of_flytekit_is_an_address(self, mailbox: Mailbox, kind: str) -> None:
        rule = common_pb2.Notification(phases=[_core(ExecutionPhase.SUCCEEDED)])
        getattr(rule, kind).recipients_email.extend(["ann@example.org", "bo@example.org", "ann@example.org"])
        rules = execution_pb2.NotificationList(notifications=[rule, rule])
        SUCCEED.run(start(workflow_of(plain), {"a": 1}, notifications=rules))
        deliver_due()
        told = [address for taken in mailbox.messages for address in taken.rcpt_tos]
        assert sorted(told) == ["ann@example.org", "bo@example.org"]

    def test_an_abort_names_its_cause(self, mailbox: Mailbox) -> None:
        execution = start(workflow_of(plain), {"a": 1}, notifications=mails_for(ExecutionPhase.ABORTED))
        abort(execution, cause="wrong season", actor="bo")
        SUCCEED.run(execution)
        deliver_due()
        assert "Aborted by bo: wrong season" in read(mailbox.messages[0].content).get_payload()

    def test_it_is_sent_again_until_the_server_takes_it(self, mailbox: Mailbox) -> None:
        mailbox.answers = ["451 later", "451 later"]
        SUCCEED.run(start(workflow_of(plain), {"a": 1}, notifications=mails_for(ExecutionPhase.SUCCEEDED)))
        assert deliver_due() == 0
        row = Notification.objects.get()
        assert "451 later" in row.error and row.given_up_at is None
        assert row.next_at > timezone.now()
        assert deliver_due() == 0, "it waits before it tries again"
        due_now()
        deliver_due()
        assert (Notification.objects.get().next_at - timezone.now()) > timedelta(seconds=2), "longer every time"
        due_now()
        assert deliver_due() == 1
        row.refresh_from_db()
        assert row.attempts == 3 and row.sent_at is not None and row.error == ""

    def test_what_the_server_refuses_for_good_is_given_up_and_can_be_sent_again(self, mailbox: Mailbox) -> None:
        mailbox.answers = ["550 nobody of that name"]
        SUCCEED.run(start(workflow_of(plain), {"a": 1}, notifications=mails_for(ExecutionPhase.SUCCEEDED)))
        deliver_due()
        row = Notification.objects.get()
        assert row.given_up_at is not None and "nobody of that name" in row.error
        send_again(row, actor="ann")
        assert deliver_due() == 1

    def test_without_a_mail_server_it_waits_says_why_and_goes_out_once_there_is_one(
        self, mailbox: Mailbox, receiver: Receiver, settings: Settings
    ) -> None:
        host, settings.EMAIL_HOST = settings.EMAIL_HOST, ""
        webhook(receiver.url, "execution.succeeded")
        SUCCEED.run(start(workflow_of(plain), {"a": 1}, notifications=mails_for(ExecutionPhase.SUCCEEDED)))
        assert deliver_due() == 1, "the webhook does not wait"
        row = Notification.objects.get(channel=Channel.EMAIL)
        assert row.error == "waits until a mail server is set: CAUSEWAY_SMTP_HOST"
        assert (row.given_up_at, row.sent_at, row.attempts) == (None, None, 0)
        for _ in range(20):
            assert deliver_due() == 0
        settings.EMAIL_HOST = host
        assert deliver_due() == 1
        row.refresh_from_db()
        assert (row.sent_at is not None, row.error, row.attempts) == (True, "", 1)
        assert len(mailbox.messages) == 1

    def test_an_address_with_a_line_break_reaches_nobody(self, mailbox: Mailbox) -> None:
        rules = mails_for(ExecutionPhase.SUCCEEDED, to="ann@example.org\nBcc: eve@example.org")
        SUCCEED.run(start(workflow_of(plain), {"a": 1}, notifications=rules))
        deliver_due()
        assert mailbox.messages == [] and Notification.objects.get().given_up_at is not None

    def test_a_server_that_drips_holds_nobody_beyond_the_deadline(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(smtp, "SECONDS", 0.5)
        settings.EMAIL_BACKEND = "scheduler.notifications.smtp.Backend"
        settings.EMAIL_USE_TLS = False
        SUCCEED.run(start(workflow_of(plain), {"a": 1}, notifications=mails_for(ExecutionPhase.SUCCEEDED)))
        with serving(drips(b"", hears_first=False)) as (port, _):
            settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
            began = time.monotonic()
            assert deliver_due() == 0
            assert time.monotonic() - began < 5
        row = Notification.objects.get()
        assert (row.attempts, row.sent_at, row.given_up_at) == (1, None, None)
        assert row.error


class TestLaunchPlans:
    def launched(self, plan_rules: bool, spec: execution_pb2.ExecutionSpec) -> Execution:
        from flytekit import Email, LaunchPlan
        from flytekit.models.core.execution import WorkflowExecutionPhase

        from tests.flyte import register_all

        rules = [Email(phases=[WorkflowExecutionPhase.SUCCEEDED], recipients_email=["ann@example.org"])]
        plan = LaunchPlan.create("told", plain, fixed_inputs={"a": 1}, notifications=rules if plan_rules else None)
        try:
            identifiers = register_all(plan)
        finally:
            LaunchPlan.CACHE.pop("told", None)
        spec.launch_plan.CopyFrom(identifiers[-1])
        return SUCCEED.run(launch(LaunchRequest("demo", "development", "", spec), actor="ann"))

    def test_the_launch_plans_rules_hold(self) -> None:
        self.launched(True, execution_pb2.ExecutionSpec())
        assert [row.address for row in Notification.objects.all()] == ["ann@example.org"]

    def test_a_launch_names_others_or_nobody(self) -> None:
        own = execution_pb2.ExecutionSpec(notifications=mails_for(ExecutionPhase.SUCCEEDED, to="bo@example.org"))
        self.launched(True, own)
        assert [row.address for row in Notification.objects.all()] == ["bo@example.org"]

    def test_a_launch_switches_them_off(self) -> None:
        self.launched(True, execution_pb2.ExecutionSpec(disable_all=True))
        assert not Notification.objects.exists()


class TestWebhooks:
    def test_it_sends_what_happened_signed(self, receiver: Receiver) -> None:
        webhook(receiver.url + "/hook", "execution.failed", secret="s3cret")
        SUCCEED.run(start(workflow_of(plain), {"a": 1}))
        execution = FAIL.run(start(workflow_of(plain), {"a": 1}))
        assert deliver_due() == 1
        ((headers, raw),) = receiver.taken
        body = json.loads(raw)
        assert body["event"] == "execution.failed" and "no more snow" in body["error"]
        assert body["execution"]["name"] == execution.name
        assert body["url"].endswith(f"/executions/{execution.key}/")
        at, mac = (part.split("=")[1] for part in headers["causeway-signature"].split(","))
        assert hmac.compare_digest(mac, hmac.new(b"s3cret", at.encode() + b"." + raw, hashlib.sha256).hexdigest())
        assert int(headers["causeway-delivery"]) == body["id"]

    def test_only_what_is_subscribed_is_told(self, receiver: Receiver) -> None:
        webhook(receiver.url + "/other-project", project="elsewhere")
        webhook(receiver.url + "/other-domain", domain="production")
        webhook(receiver.url + "/other-plan", launch_plan="x")
        webhook(receiver.url + "/all")
        SUCCEED.run(start(workflow_of(plain), {"a": 1}))
        assert [row.address for row in Notification.objects.all()] == [receiver.url + "/all"]

    def test_slack_gets_a_text(self, receiver: Receiver) -> None:
        Project.objects.get_or_create(identifier="demo")
        wish = Wish(kinds=["execution.succeeded"], project="demo", channel=Channel.SLACK, address=receiver.url)
        subscribe(wish, actor="ada")
        execution = SUCCEED.run(start(workflow_of(plain), {"a": 1}))
        deliver_due()
        body = json.loads(receiver.taken[0][1])
        assert list(body) == ["text"] and execution.key in body["text"]

    def test_a_gate_that_waits_is_told_once_and_not_when_it_was_decided_before(self, receiver: Receiver) -> None:
        webhook(receiver.url, "gate.waiting")
        driver = Driver({"double": lambda a: 2 * a})
        execution = driver.run(start(workflow_of(approved), {"a": 1}))
        driver.run(execution)
        assert deliver_due() == 1
        assert json.loads(receiver.taken[0][1])["gate"] == "is-it-good"
        decide(Gate.objects.get(), approve=True, actor="abe")
        assert driver.run(execution).phase == ExecutionPhase.SUCCEEDED
        assert Notification.objects.count() == 1

    def test_a_receiver_that_is_down_gets_it_later(self, receiver: Receiver) -> None:
        webhook(receiver.url)
        receiver.statuses = [503]
        SUCCEED.run(start(workflow_of(plain), {"a": 1}))
        assert deliver_due() == 0 and "503" in Notification.objects.get().error
        due_now()
        assert deliver_due() == 1
        assert receiver.taken[0][1] == receiver.taken[1][1], "the same message, with the same id"

    @pytest.mark.parametrize(("status", "reason"), [(400, "400"), (302, "302"), (410, "410")])
    def test_what_cannot_get_better_is_given_up(self, receiver: Receiver, status: int, reason: str) -> None:
        webhook(receiver.url)
        receiver.statuses = [status]
        SUCCEED.run(start(workflow_of(plain), {"a": 1}))
        deliver_due()
        row = Notification.objects.get()
        assert row.given_up_at is not None and reason in row.error
        assert len(receiver.taken) == 1, "a redirect is not followed"

    def test_it_gives_up_in_the_end(self) -> None:
        webhook("http://127.0.0.1:9/nobody")
        SUCCEED.run(start(workflow_of(plain), {"a": 1}))
        Notification.objects.update(attempts=deliver.ATTEMPTS - 1)
        deliver_due()
        assert Notification.objects.get().given_up_at is not None

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
    def test_it_does_not_speak_to_private_addresses(self, receiver: Receiver, settings: Settings, host: str) -> None:
        settings.CAUSEWAY_WEBHOOK_PRIVATE = False
        webhook(receiver.url.replace("127.0.0.1", host))
        SUCCEED.run(start(workflow_of(plain), {"a": 1}))
        deliver_due()
        row = Notification.objects.get()
        assert "not a public address" in row.error and row.given_up_at is not None
        assert receiver.taken == []

    @pytest.mark.parametrize(
        "address", ["ftp://x/y", "hook", "http://", "http://me:pw@host/", "http://ho st/", "http://host:99999/", ""]
    )
    def test_it_refuses_what_is_no_address(self, address: str) -> None:
        with pytest.raises(InvalidArgument, match="address"):
            webhook(address)


class TestSlowReceivers:
    def test_a_receiver_that_does_not_answer_lets_others_pass(
        self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(webhooks, "SECONDS", 0.5)
        with serving(drips(b"HTTP/1.1 ")) as (port, came):
            webhook(f"http://127.0.0.1:{port}/slow")
            for _ in range(3):
                SUCCEED.run(start(workflow_of(plain), {"a": 1}))
            webhook(receiver.url)
            SUCCEED.run(start(workflow_of(plain), {"a": 1}))
            assert deliver_due() == 1
            assert len(came) == 1, "one try; the others for that address wait"
        waiting = Notification.objects.filter(sent_at=None)
        assert waiting.count() == 4 and not waiting.filter(next_at__lte=timezone.now()).exists()
        assert not waiting.filter(attempts__gt=1).exists()
        assert "not done within 0.5 s" in waiting.get(attempts=1).error
        assert len(receiver.taken) == 1

    @pytest.mark.django_db(transaction=True)
    def test_it_holds_one_thread_only(self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(webhooks, "SECONDS", 3.0)

        def run() -> None:
            try:
                deliver_due()
            finally:
                connection.close()

        with serving(drips(b"HTTP/1.1 ")) as (port, came):
            webhook(f"http://127.0.0.1:{port}/slow")
            for _ in range(3):
                SUCCEED.run(start(workflow_of(plain), {"a": 1}))
            webhook(receiver.url)
            SUCCEED.run(start(workflow_of(plain), {"a": 1}))
            slow = threading.Thread(target=run)
            slow.start()
            while not came:
                time.sleep(0.01)
            began = time.monotonic()
            assert deliver_due() == 1
            assert time.monotonic() - began < 2 and len(came) == 1
            slow.join()
        assert not deliver._busy

    def test_one_run_ends_in_time_and_the_next_goes_on(
        self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(3):
            webhook(f"{receiver.url}/{number}")
        SUCCEED.run(start(workflow_of(plain), {"a": 1}))
        monkeypatch.setattr(deliver, "BUDGET", 0.0)
        assert deliver_due() == 0
        monkeypatch.setattr(deliver, "BUDGET", 60.0)
        assert deliver_due() == 3

    def test_a_lease_outlasts_the_longest_sending(self) -> None:
        assert timedelta(seconds=2 * max(webhooks.SECONDS, smtp.SECONDS)) <= deliver.LEASE


class TestOnce:
    def test_a_sender_that_dies_leaves_it_for_the_next(self, receiver: Receiver) -> None:
        webhook(receiver.url)
        SUCCEED.run(start(workflow_of(plain), {"a": 1}))
        with patch.dict(deliver.SENDERS, {Channel.WEBHOOK: _die}), pytest.raises(SystemExit):  # type: ignore[arg-type]
            deliver_due()
        assert deliver_due() == 0, "the lease of the dead one holds"
        due_now()
        assert deliver_due() == 1

    def test_nothing_is_told_of_what_was_rolled_back(
        self,
        receiver: Receiver,
        django_capture_on_commit_callbacks: Callable[..., AbstractContextManager[list[object]]],
    ) -> None:
        webhook(receiver.url)
        execution = start(workflow_of(plain), {"a": 1})
        with django_capture_on_commit_callbacks() as callbacks:
            with pytest.raises(ZeroDivisionError), transaction.atomic():
                SUCCEED.run(execution)
                raise ZeroDivisionError
            assert not Notification.objects.exists()
        assert callbacks == []


def _die(notification: Notification) -> None:
    raise SystemExit
