"""Posting to addresses that others chose: nobody is reached who must not be, and none takes longer than he may.

One errand has one deadline for all of it: looking up the name, connecting, TLS, sending, what is read of the answer.
Time-outs of single reads are no deadline: who sends a byte now and then is never late. So a timer shuts the connection.

A name is looked up once, what it leads to is checked, and the connection goes to that very address: a name that leads
elsewhere the next time it is asked (DNS rebinding) gains nothing, and a refused address is never connected to.
Redirects are not followed, proxies and credentials of the environment not used.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, NamedTuple

import certifi
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.util import parse_url

ANSWER_SHOWN = 500  # bytes of a refusal
CONNECTING = 5.0  # seconds for each of a host's addresses
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Of IPv6 only this is given out for the public internet (RFC 4291); the library calls much else global: site-local and
# IPv4-compatible addresses, those that translators use within a network (RFC 8215, RFC 2765) ...
_GIVEN_OUT = ipaddress.IPv6Network("2000::/3")
# Registered as not global after some Pythons that we run on had been released
_NOT_PUBLIC = (ipaddress.ip_network("192.0.0.0/24"), ipaddress.ip_network("3fff::/20"))


class Answer(NamedTuple):
    status: int
    reason: str
    text: str  # the beginning; empty where it was taken (2xx): nothing waits for that


class NoAnswer(Exception):
    """There was none: nobody there, not in time, not HTTP. Another try may find one."""


class NotAllowed(Exception):
    """The address cannot be posted to, or must not be: another try cannot help."""


class Deadline:
    """A moment by which everything has to be over. `watch` ends what a connection is in the middle of then."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """In seconds, more than 0. TimeoutError when it is over."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise TimeoutError(self.words)
        return left

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._at

    @property
    def words(self) -> str:
        return f"it was not done within {self.seconds:g} s"

    @contextmanager
    def watch(self, connected: socket.socket) -> Iterator[None]:
        """Shuts the connection at the deadline, whatever it is wrapped in by then."""
        handle = connected.dup()  # TLS takes the descriptor of the first one over

        def shut() -> None:
            with suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(max(self._at - time.monotonic(), 0), shut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            handle.close()


def post(url: str, body: bytes, headers: Mapping[str, str], *, seconds: float, private: bool) -> Answer:
    """One POST, over in `seconds`. `private` allows addresses that are not public. Raises NoAnswer, NotAllowed."""
    deadline = Deadline(seconds)
    try:
        parts = parse_url(url)
        if parts.host is None or parts.scheme not in ("http", "https"):
            raise NotAllowed(f"{url[:200]!r} is no http or https address")
        host, port = parts.host.strip("[]"), parts.port or (443 if parts.scheme == "https" else 80)
        connected = connect(host, port, deadline, private=private)
        with connected, deadline.watch(connected), _pool(parts.scheme, parts.host, port, connected) as pool:
            return _ask(pool, parts.request_uri, body, headers, deadline)
    except LocationParseError as error:
        raise NotAllowed(str(error)) from None
    except (HTTPError, OSError, ValueError) as error:
        said = deadline.words if deadline.is_over else f"{type(error).__name__}: {error}"
        raise NoAnswer(said) from None


def _ask(pool: HTTPConnectionPool, path: str, body: bytes, headers: Mapping[str, str], deadline: Deadline) -> Answer:
    answer = pool.urlopen(
        "POST", path, body=body, headers=dict(headers), redirect=False, retries=False, timeout=deadline.left(),
        preload_content=False,
    )  # fmt: skip
    taken = 200 <= answer.status < 300
    text = "" if taken else answer.read(ANSWER_SHOWN).decode(errors="replace")
    answer.close()
    return Answer(answer.status, answer.reason or "", text)


def connect(host: str, port: int, deadline: Deadline, *, private: bool) -> socket.socket:
    """A connection to one of the host's addresses, all of them checked before. NotAllowed: none of them is public."""
    found = _look_up(host, port, deadline)
    allowed = [one for one in found if private or is_public(one[4][0])]
    if not allowed:
        raise NotAllowed(f"{host} is not a public address, or leads to none; CAUSEWAY_WEBHOOK_PRIVATE=1 allows such")
    failed: OSError | None = None
    for family, kind, protocol, _, address in allowed:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(min(deadline.left(), CONNECTING))
            connection.connect(address)
        except OSError as error:
            connection.close()
            failed = error
        else:
            connection.settimeout(deadline.left())
            return connection
    raise failed or OSError(f"{host} has no address")


def _look_up(host: str, port: int, deadline: Deadline) -> list[Any]:
    """In a thread: there is no time-out for asking the name servers."""
    found: list[Any] = []
    failed: list[OSError | UnicodeError] = []

    def ask() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            failed.append(error)

    asking = threading.Thread(target=ask, name="look-up", daemon=True)
    asking.start()
    asking.join(deadline.left())
    if asking.is_alive():
        raise TimeoutError(deadline.words)
    if failed:
        raise OSError(f"there is no host {host}") from failed[0]
    return found


def is_public(text: str) -> bool:
    """Whether an address is of the public internet, also one that an IPv6 address stands for (mapped, 6to4, NAT64)."""
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if (inner := _inside(address)) is not None:
            address = inner
        elif address not in _GIVEN_OUT:
            return False
    return address.is_global and not address.is_multicast and not any(address in net for net in _NOT_PUBLIC)


def _inside(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]


class _Ready(HTTPConnection):
    """Speaks through the connection that there is: it was made to a checked address."""

    def __init__(self, *args: Any, through: socket.socket, **more: Any) -> None:
        super().__init__(*args, **more)
        self._through = through

    def _new_conn(self) -> socket.socket:
        return self._through


class _ReadyTls(_Ready, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Ready


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _ReadyTls


def _pool(scheme: str, host: str, port: int, through: socket.socket) -> HTTPConnectionPool:
    if scheme == "https":
        return _TlsPool(host, port, maxsize=1, ssl_context=_tls(), through=through)
    return _Pool(host, port, maxsize=1, through=through)


@cache
def _tls() -> ssl.SSLContext:
    """Trusts whom the machine trusts (`SSL_CERT_FILE`), and whom browsers do."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
