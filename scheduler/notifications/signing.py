"""How webhooks are signed, and how the secret for it is kept: sealed, bound to the address that it was set for."""

from __future__ import annotations

import hashlib
import hmac

from scheduler.models import Subscription
from scheduler.secrets import cipher


def seal(secret: str, address: str) -> bytes | None:
    """None for no secret. It cannot be opened for another address: who changes one in the table gets no signature."""
    return cipher.seal(secret.encode(), bound_to=_bound(address)) if secret else None


def secret_of(subscription: Subscription) -> str:
    """Empty: its messages are not signed. CannotOpen where the key is gone."""
    if subscription.sealed is None:
        return ""
    return cipher.open_sealed(bytes(subscription.sealed), bound_to=_bound(subscription.address)).decode()


def signature(secret: str, body: bytes, *, at: int) -> str:
    """`t=<seconds>,v1=<hex>`: HMAC-SHA256 of "<seconds>.<body>", so that neither can be taken from another message."""
    return f"t={at},v1=" + hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def _bound(address: str) -> tuple[str, ...]:
    return "subscription", address
