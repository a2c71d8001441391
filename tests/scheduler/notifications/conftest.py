"""A mail server and an HTTP receiver as people have them, on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope
from pytest_django import Settings

from tests.receiving import Answer, Posted, receiving
from tests.stack import free_port


@dataclass
class Mailbox:
    """What the mail server took; `answers` are what it says next instead of taking a message."""

    messages: list[Envelope] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        if self.answers:
            return self.answers.pop(0)
        self.messages.append(envelope)
        return "250 taken"


@pytest.fixture
def mailbox(settings: Settings) -> Iterator[Mailbox]:
    box = Mailbox()
    port = free_port()
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    settings.EMAIL_BACKEND = "scheduler.notifications.smtp.Backend"  # the test runner's keeps mail in memory
    settings.EMAIL_HOST, settings.EMAIL_USE_TLS = "127.0.0.1", False
    settings.EMAIL_PORT = port
    settings.DEFAULT_FROM_EMAIL = "Causeway <causeway@example.org>"
    yield box
    server.stop()


@dataclass
class Receiver:
    url: str = ""
    taken: list[tuple[dict[str, str], bytes]] = field(default_factory=list)  # headers in lower case, body
    statuses: list[int] = field(default_factory=list)  # answered next, instead of 204


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    settings.CAUSEWAY_WEBHOOK_PRIVATE = True
    found = Receiver()

    def answer(posted: Posted) -> Answer:
        found.taken.append((dict(posted.headers), posted.body))
        status = found.statuses.pop(0) if found.statuses else 204
        return Answer(status, {"Location": f"{found.url}/elsewhere"} if status in (301, 302) else {})

    with receiving(answer) as found.url:
        yield found
