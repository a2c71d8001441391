"""Notifications by HTTP POST: signed, without redirects, and not into the network that Causeway itself stands in."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import socket
import time
from typing import Any

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from scheduler.models import Channel, Notification
from scheduler.notifications.refusal import Refused
from scheduler.notifications.texts import body_of, text_of

TIMEOUT = (5.0, 10.0)  # seconds to connect, to wait for bytes
ANSWER_SHOWN = 500  # bytes
PASSING = frozenset({401, 403, 404, 408, 425, 429})  # refusals that are not the notification's fault


class PrivateAddress(Exception):
    """The name led to an address that is not public."""


class _CheckedConnection(HTTPConnection):
    """Looks whom it reached before it says anything: a name may lead elsewhere each time it is asked."""

    def _new_conn(self) -> socket.socket:
        return _checked(super()._new_conn())


class _CheckedTlsConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _checked(super()._new_conn())


class _CheckedPool(HTTPConnectionPool):
    ConnectionCls = _CheckedConnection


class _CheckedTlsPool(HTTPSConnectionPool):
    ConnectionCls = _CheckedTlsConnection


class _CheckedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _CheckedPool, "https": _CheckedTlsPool}


def _checked(connected: socket.socket) -> socket.socket:
    peer = ipaddress.ip_address(connected.getpeername()[0].partition("%")[0])
    if isinstance(peer, ipaddress.IPv6Address) and peer.ipv4_mapped is not None:
        peer = peer.ipv4_mapped
    if not peer.is_global or peer.is_multicast:
        connected.close()
        raise PrivateAddress(f"{peer} is not a public address; CAUSEWAY_WEBHOOK_PRIVATE=1 allows such")
    return connected


def send(notification: Notification) -> None:
    """Raises Refused unless the address answers with a 2xx."""
    body = {"text": text_of(notification)} if notification.channel == Channel.SLACK else body_of(notification)
    raw = json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "Causeway", "Causeway-Delivery": str(notification.pk)}
    if notification.subscription is not None and notification.subscription.secret:
        headers["Causeway-Signature"] = signature(notification.subscription.secret, raw, at=int(time.time()))
    try:
        with _session() as session:
            answer = session.post(
                notification.address, data=raw, headers=headers, timeout=TIMEOUT, allow_redirects=False, stream=True
            )
            said = answer.raw.read(ANSWER_SHOWN, decode_content=True).decode(errors="replace")
    except PrivateAddress as error:
        raise Refused(str(error), for_good=True) from None
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
        raise Refused(str(error), for_good=True) from None
    except (requests.RequestException, OSError) as error:
        raise Refused(f"{type(error).__name__}: {error}") from None
    if not 200 <= answer.status_code < 300:
        hopeless = 300 <= answer.status_code < 500 and answer.status_code not in PASSING
        raise Refused(f"{answer.status_code} {answer.reason}: {said}", for_good=hopeless)


def signature(secret: str, body: bytes, *, at: int) -> str:
    """`t=<seconds>,v1=<hex>`: HMAC-SHA256 of "<seconds>.<body>", so that neither can be taken from another message."""
    return f"t={at},v1=" + hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # a proxy or .netrc of the environment is not meant for addresses that users choose
    if not settings.CAUSEWAY_WEBHOOK_PRIVATE:
        session.mount("http://", _CheckedAdapter())
        session.mount("https://", _CheckedAdapter())
    return session
