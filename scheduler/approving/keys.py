"""The keys that evidence is signed with: made when first needed, sealed in the database, kept for ever."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection, transaction
from django.utils import timezone

from audit.record import record
from scheduler.models import SigningKey
from scheduler.secrets.cipher import open_sealed, seal

_BOUND = "evidence"
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('signing key', 0))"


def signing_key() -> SigningKey:
    """The newest; made where there is none."""
    return _newest() or _made(rotate=False, actor="system:evidence")


def rotate(*, actor: str) -> SigningKey:
    """A new key signs from now on; what the others signed is still verified."""
    return _made(rotate=True, actor=actor)


def public_keys() -> dict[str, bytes]:
    """All public halves, by id."""
    return {key.key_id: bytes(key.public) for key in SigningKey.objects.order_by("pk")}


def private_half(key: SigningKey) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(open_sealed(bytes(key.sealed), bound_to=(_BOUND, key.key_id)))


def _newest() -> SigningKey | None:
    return SigningKey.objects.order_by("-pk").first()


def _made(*, rotate: bool, actor: str) -> SigningKey:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_LOCK)
        present = _newest()
        if present is not None and not rotate:
            return present
        private = Ed25519PrivateKey.generate()
        public = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        secret = private.private_bytes(
            serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
        )
        key_id = hashlib.sha256(public).hexdigest()[:16]
        record(actor, "evidence_key.create", key_id)
        return SigningKey.objects.create(
            key_id=key_id, public=public, sealed=seal(secret, bound_to=(_BOUND, key_id)), created_at=timezone.now()
        )
