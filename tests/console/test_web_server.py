"""The web process keeps answering, whatever others leave half sent or half read."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_django import Settings

from artifacts.store import signing
from console.web import channels
from console.web.requests import body_limit
from console.web.worker import adjustments
from tests.stack import free_port

KEY = "k" * 50
PATIENCE = channels.HEAD / 2  # seconds; whoever is answered within it has not waited for a deadline of others
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
HALVES = {
    "no byte": b"",
    "half a line": b"GET /log",
    "half a head": b"GET /login/ HTTP/1.1\r\nHost: localhost\r\nX-Some: thing",
    "half a form": b"POST /login/ HTTP/1.1\r\nHost: localhost\r\n" + FORM + b"Content-Length: 900\r\n\r\nusername=",
    "half a JSON": b"POST /api/v1/tokens HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Authorization: Bearer cwy_x\r\nContent-Length: 900\r\n\r\n{",
    "half a file": b"POST /api/v1/artifacts/a/b/c/versions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000000\r\n"
    b"Authorization: Bearer cwy_x\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n",
    "half a chunk": b"POST /login/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nab",
}


@dataclass
class Web:
    port: int
    home: Path
    process: subprocess.Popen[bytes]

    def ask(
        self, path: str, method: str = "GET", body: Any = None, **headers: str
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return response, response.read()

    def signed(self, grant: signing.Grant) -> str:
        """A path that the process, which has the same key, permits."""
        return "/objects/" + signing.sign(grant, timedelta(hours=1))


@pytest.fixture(autouse=True)
def one_key(settings: Settings) -> None:
    """What the tests sign the process must take for signed."""
    settings.SECRET_KEY = KEY


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    home, port = tmp_path_factory.mktemp("web"), free_port()
    command = [sys.executable, "-m", "gunicorn", "--config", "python:console.gunicorn", "console.wsgi"]
    environment = {**os.environ, "CAUSEWAY_HOME": str(home), "CAUSEWAY_SECRET_KEY": KEY, "CAUSEWAY_STORE_URL": ""}
    command += ["--bind", f"127.0.0.1:{port}", "--graceful-timeout", "8"]
    process = subprocess.Popen(command, env=environment, stderr=(home / "err").open("wb"))
    running = Web(port, home, process)
    for _ in range(300):
        with contextlib.suppress(OSError):
            running.ask("/healthz")
            break
        time.sleep(0.1)
    yield running
    process.terminate()
    assert process.wait(20) == 0, (home / "err").read_text()[-2000:]


def connections(web: Web, count: int, data: bytes) -> list[socket.socket]:
    held = []
    for _ in range(count):
        held.append(socket.create_connection(("127.0.0.1", web.port)))
        held[-1].sendall(data)
    return held


@pytest.mark.e2e
@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("count", [20, 300])
def test_others_are_answered_while_requests_stay_half_sent(web: Web, half: str, count: int) -> None:
    held = connections(web, count, HALVES[half])
    try:
        for path in ("/healthz", "/login/"):
            assert web.ask(path)[0].status == 200
    finally:
        for each in held:
            each.close()


@pytest.mark.e2e
def test_others_are_answered_while_answers_stay_unread(web: Web) -> None:
    folder = web.home / "objects" / "trial"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "large").write_bytes(os.urandom(1 << 20) * 24)
    path = web.signed(signing.Grant("GET", "trial/large"))
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n".encode()
    held = connections(web, 20, request + b"\r\n") + connections(web, 20, request + b"Range: bytes=1-\r\n\r\n")
    time.sleep(1)  # what fits into the sockets' buffers is sent
    try:
        assert web.ask("/login/")[0].status == 200
    finally:
        for each in held:
            each.close()


@pytest.mark.e2e
def test_a_sign_of_life_needs_no_thread_of_the_others(web: Web) -> None:
    busy = connections(web, 64, b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")  # no database here: each takes time
    try:
        assert web.ask("/healthz")[0].status == 200
        answered = select.select(busy, [], [], 0)[0]
        assert len(answered) < len(busy), "it was answered after the others"
    finally:
        for each in busy:
            each.close()


@pytest.mark.e2e
def test_an_upload_arrives_whole_with_a_length_and_in_chunks(web: Web) -> None:
    content = os.urandom(3 << 20)
    for number, length in enumerate(({"Content_Length": str(len(content))}, {"Transfer_Encoding": "chunked"})):
        path = web.signed(signing.Grant("PUT", f"trial/up{number}", max_bytes=len(content)))
        pieces = (content[at : at + 100_000] for at in range(0, len(content), 100_000))
        connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=10)
        headers = {name.replace("_", "-"): value for name, value in length.items()}
        connection.request("PUT", path, pieces, headers, encode_chunked="Transfer_Encoding" in length)
        assert connection.getresponse().status == 200
        connection.close()
        stored = (web.home / "objects" / "trial" / f"up{number}").read_bytes()
        assert hashlib.sha256(stored).digest() == hashlib.sha256(content).digest()


@pytest.mark.e2e
def test_what_may_not_be_sent_is_refused_before_it_is_read(web: Web) -> None:
    permitted = web.signed(signing.Grant("PUT", "trial/small", max_bytes=10))
    size = 40 << 20
    for path, method, status in ((permitted, "PUT", 413), ("/objects/forged", "PUT", 403), ("/api/v1/me", "POST", 401)):
        pieces = (b"x" * (1 << 20) for _ in range(size >> 20))
        response, answer = web.ask(path, method, pieces, Content_Length=str(size), Content_Type="application/json")
        assert (response.status, response.headers["Connection"]) == (status, "close"), answer
    assert not any((web.home / "spool").iterdir())


@pytest.mark.e2e
def test_a_head_request_brings_no_body_and_keeps_the_connection(web: Web) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", "/login/")
        length = len(connection.getresponse().read())
        for _ in range(2):
            connection.request("HEAD", "/login/")
            response = connection.getresponse()
            assert abs(int(response.headers["Content-Length"]) - length) < 20
            assert response.read() == b""


@pytest.mark.e2e
def test_the_longest_query_is_read(web: Web) -> None:
    assert web.ask("/healthz?" + "x" * (10 * 1024 * 12))[0].status == 200
    assert web.ask("/healthz?" + "x" * (161 * 1024))[0].status == 431


@pytest.mark.e2e
def test_a_proxy_here_says_who_asks_and_over_what(web: Web) -> None:
    secure, _ = web.ask("/login/", X_Forwarded_Proto="https", X_Forwarded_For="203.0.113.7")
    assert secure.status == 200
    assert web.ask("/login/", X_Forwarded_Proto="gopher")[0].status == 400


def channel() -> tuple[channels.Channel, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    server = SimpleNamespace(active_channels={}, add_task=lambda channel: None, pull_trigger=lambda: None)
    return channels.Channel(server, ours, ("127.0.0.1", 1), adjustments(), map={}), theirs


def test_a_connection_that_nothing_comes_on_is_closed_after_a_while() -> None:
    made, _theirs = channel()
    now = time.monotonic()
    assert not made.is_late(now + channels.IDLE - 2)
    assert made.is_late(now + channels.IDLE + 2)


@pytest.mark.parametrize("half", ["half a line", "half a head"])
def test_a_head_has_a_deadline_that_drips_do_not_move(half: str) -> None:
    made, _theirs = channel()
    now = time.monotonic()
    for byte in HALVES[half]:
        made.received(bytes([byte]))
    made._request_began = now - channels.HEAD + 5
    made.received(b"y")
    assert not made.is_late(now)
    assert made.is_late(now + 6)


@pytest.mark.parametrize("half", ["half a form", "half a file", "half a chunk"])
def test_a_body_has_time_for_what_arrives_at_a_slow_pace_and_no_more(half: str) -> None:
    made, _theirs = channel()
    made.received(HALVES[half])
    now = time.monotonic()
    assert not made.is_late(now + channels.HEAD + 5)
    assert made.is_late(now + channels.TRANSFER + 2)
    if half == "half a file":  # what arrives buys time
        made.received(b"x" * channels.SLOWEST * 10)
        assert not made.is_late(now + channels.TRANSFER + 5)


def test_an_answer_has_a_deadline_too() -> None:
    made, theirs = channel()
    made.requests = [SimpleNamespace(close=lambda: None)]
    made.write_soon(b"x" * (4 << 20))
    now = time.monotonic()
    assert made.total_outbufs_len > 0
    sent = (4 << 20) - made.total_outbufs_len
    assert not made.is_late(now + channels.TRANSFER - 1)
    assert made.is_late(now + channels.TRANSFER + sent / channels.SLOWEST + 2)
    theirs.close()


def test_a_request_that_is_being_answered_is_never_late() -> None:
    made, _theirs = channel()
    made.received(b"GET /login/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert made.requests
    assert not made.is_late(time.monotonic() + 3600)


def test_only_those_with_business_may_send_much() -> None:
    small = body_limit("POST", "/login/", {})
    multipart = {"CONTENT_TYPE": "multipart/form-data; boundary=x"}
    assert body_limit("POST", "/api/v1/x", multipart) == small
    assert body_limit("POST", "/api/v1/x", {**multipart, "AUTHORIZATION": "Bearer x"}) > 1 << 30
    grant = signing.sign(signing.Grant("PUT", "k", max_bytes=77), timedelta(hours=1))
    assert body_limit("PUT", f"/objects/{grant}", {}) == 77
    assert body_limit("GET", f"/objects/{grant}", {}) == 0
    assert body_limit("PUT", "/objects/forged", {}) == 0


@pytest.mark.e2e
def test_it_stops_when_told_and_finishes_answers(web: Web) -> None:
    """Last, for it ends the process: a download that is under way comes whole."""
    path = web.signed(signing.Grant("GET", "trial/large"))
    held = connections(web, 1, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())[0]
    first = held.recv(1000)
    web.process.send_signal(signal.SIGTERM)
    received = len(first)
    held.settimeout(10)
    while data := held.recv(1 << 20):
        received += len(data)
    assert received > 24 << 20
