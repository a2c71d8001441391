"""Posts to addresses that others chose: checked before they are reached, and over in time."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from lineage.outgoing import Answer, Deadline, NoAnswer, NotAllowed, connect, is_public, post

Serve = Callable[[socket.socket], None]


@contextmanager
def serving(serve: Serve) -> Iterator[tuple[int, list[float]]]:
    """A port of this machine whose connections are handled by `serve`, and when each came."""
    server = socket.create_server(("127.0.0.1", 0))
    came: list[float] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                came.append(time.monotonic())
                threading.Thread(target=handle, args=[connection], daemon=True).start()

    def handle(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            serve(connection)

    threading.Thread(target=accept, daemon=True).start()
    yield server.getsockname()[1], came
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def ask(url: str, *, seconds: float = 5.0, private: bool = True, body: bytes = b"{}") -> Answer:
    return post(url, body, {"Content-Type": "application/json"}, seconds=seconds, private=private)


def says(text: bytes) -> Serve:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(text)

    return serve


def drips(beginning: bytes, *, every: float = 0.05, hears_first: bool = True) -> Serve:
    """Sends something now and then, for ever: no single read of it takes long."""

    def serve(connection: socket.socket) -> None:
        if hears_first:
            connection.recv(65536)
        connection.sendall(beginning)
        while True:
            connection.sendall(b"x")
            time.sleep(every)

    return serve


def hears(connection: socket.socket) -> None:
    """Reads a few bytes now and then."""
    while connection.recv(10):
        time.sleep(0.05)


def waits(connection: socket.socket) -> None:
    time.sleep(30)


@pytest.mark.parametrize(
    "serve",
    [drips(b""), drips(b"HTTP/1.1 "), drips(b"HTTP/1.1 500 No\r\nContent-Length: 400\r\n\r\n"), waits],
    ids=["status line", "after the beginning", "refusal", "nothing at all"],
)
def test_an_answer_that_drips_ends_with_the_deadline(serve: Serve) -> None:
    with serving(serve) as (port, _):
        began = time.monotonic()
        with pytest.raises(NoAnswer, match=r"not done within 0\.5 s"):
            ask(f"http://127.0.0.1:{port}/", seconds=0.5)
        assert 0.4 < time.monotonic() - began < 3


def test_a_receiver_that_takes_the_body_slowly_ends_with_the_deadline() -> None:
    with serving(hears) as (port, _):
        began = time.monotonic()
        with pytest.raises(NoAnswer):
            ask(f"http://127.0.0.1:{port}/", seconds=0.5, body=b"x" * 50_000_000)
        assert time.monotonic() - began < 3


def test_a_tls_greeting_that_does_not_come_ends_with_the_deadline() -> None:
    with serving(drips(b"")) as (port, _):
        began = time.monotonic()
        with pytest.raises(NoAnswer):
            ask(f"https://127.0.0.1:{port}/", seconds=0.5)
        assert time.monotonic() - began < 3


def test_a_name_server_that_does_not_answer_ends_with_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: Any, **__: Any) -> list[Any]:
        time.sleep(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    began = time.monotonic()
    with pytest.raises(NoAnswer, match="not done within"):
        ask("http://slow.example/", seconds=0.3)
    assert time.monotonic() - began < 3


def test_nothing_waits_for_the_body_of_an_answer_that_took_it() -> None:
    with serving(drips(b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n")) as (port, _):
        began = time.monotonic()
        assert ask(f"http://127.0.0.1:{port}/", seconds=20) == Answer(200, "OK", "")
        assert time.monotonic() - began < 5


def test_a_refusal_is_told_and_a_redirect_not_followed() -> None:
    with serving(says(b"HTTP/1.1 422 Bad\r\nContent-Length: 3\r\n\r\nwhy")) as (port, _):
        assert ask(f"http://localhost:{port}/") == Answer(422, "Bad", "why")
    moved = b"HTTP/1.1 307 Elsewhere\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    with serving(says(moved)) as (port, came):
        assert ask(f"http://127.0.0.1:{port}/").status == 307
        assert len(came) == 1


def test_what_is_no_http_is_no_answer() -> None:
    with serving(says(b"220 mail.example ESMTP\r\n")) as (port, _), pytest.raises(NoAnswer):
        ask(f"http://127.0.0.1:{port}/")


def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    def serve(connection: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # has no certificate at all
        context.wrap_socket(connection, server_side=True)

    with serving(serve) as (port, _), pytest.raises(NoAnswer, match="SSL"):
        ask(f"https://127.0.0.1:{port}/")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "127.1"])
def test_an_address_that_is_not_public_is_not_even_connected_to(host: str) -> None:
    with serving(says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as (port, came):
        with pytest.raises(NotAllowed, match="not a public address"):
            ask(f"http://{host}:{port}/", private=False)
        time.sleep(0.1)
        assert came == []


def test_open_and_closed_ports_of_the_inner_network_look_alike() -> None:
    with serving(waits) as (port, _):
        said = set()
        for one in (port, 9):
            with pytest.raises(NotAllowed) as refused:
                ask(f"http://127.0.0.1:{one}/", private=False)
            said.add(str(refused.value))
        assert len(said) == 1


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads to a public address the first time and inside the second time it is asked (DNS rebinding)."""
    asked: list[str] = []
    dialled: list[Any] = []

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        address = "93.184.216.34" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    def dial(self: socket.socket, address: Any) -> None:
        dialled.append(address)
        raise ConnectionRefusedError("not from here")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket.socket, "connect", dial)
    with pytest.raises(NoAnswer, match="not from here"):
        ask("http://rebinding.example/", private=False)
    assert (asked, dialled) == (["rebinding.example"], [("93.184.216.34", 80)])


def test_of_a_name_that_leads_to_both_only_the_public_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    dialled: list[Any] = []
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 80)) for one in ("10.0.0.1", "93.184.216.34")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: dialled.append(address))
    connect("both.example", 80, Deadline(5), private=False).close()
    assert dialled == [("93.184.216.34", 80)]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),  # noqa: S104 - an address that must not be reached
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b::5db8:d822", True),
        ("2002:a00:1::", False),
        ("::10.0.0.1", False),  # IPv4-compatible
        ("::ffff:0:127.0.0.1", False),  # translated by SIIT
        ("64:ff9b:1::a00:1", False),  # NAT64 within a network
        ("fec0::1", False),  # site-local
        ("5f00::1", False),
        ("3fff::1", False),  # for documentation
        ("192.0.0.8", False),
    ],
)
def test_it_knows_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize("url", ["ftp://x/y", "hook", "", "http://", "file:///etc/passwd"])
def test_what_is_no_http_address_is_refused(url: str) -> None:
    with pytest.raises(NotAllowed):
        ask(url)


def test_a_host_that_does_not_exist_may_come_to_be() -> None:
    with pytest.raises(NoAnswer, match=r"there is no host nobody\.invalid"):
        ask("http://nobody.invalid/", private=False)


def test_no_timer_or_thread_outlives_an_errand() -> None:
    before = threading.active_count()
    with serving(says(b"HTTP/1.1 204 No\r\n\r\n")) as (port, _):
        for _ in range(5):
            ask(f"http://127.0.0.1:{port}/", seconds=60)
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= before
