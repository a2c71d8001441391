"""Secrets at rest: AES-256-GCM under a key derived from CAUSEWAY_SECRETS_KEY, or from the signing key without one.

A sealed value says which key it was sealed with, and is bound to the place and the name it was set for: copied into
another project's row it cannot be opened. The first key seals; all of them open: those of CAUSEWAY_SECRETS_KEY (comma
between), then those derived from the signing key and its predecessors. That is how a key is replaced.

    sealed = 0x01 | first 8 bytes of SHA-256 of the key | nonce, 12 bytes | ciphertext and tag

The library of the cipher is imported where it is used: it takes 7 MB, of every process, and few open or seal anything.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from functools import lru_cache

from django.conf import settings

from artifacts.exceptions import CausewayError

_FORM = b"\x01"
_ID, _NONCE = 8, 12


class CannotOpen(CausewayError):
    """A sealed value whose key is not configured here, or that was not sealed for this place and name."""


def seal(value: bytes, *, bound_to: Sequence[str]) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - see above

    key = _keys()[0]
    nonce = os.urandom(_NONCE)
    return _FORM + _key_id(key) + nonce + AESGCM(key).encrypt(nonce, value, _bound(bound_to))


def open_sealed(sealed: bytes, *, bound_to: Sequence[str]) -> bytes:
    """The value. Raises CannotOpen."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    key_id, rest = sealed[1 : 1 + _ID], sealed[1 + _ID :]
    key = next((key for key in _keys() if _key_id(key) == key_id), None)
    if sealed[:1] != _FORM or key is None:
        raise CannotOpen(
            "a secret was sealed with a key that is not configured here: see CAUSEWAY_SECRETS_KEY in the settings"
        )
    try:
        return AESGCM(key).decrypt(rest[:_NONCE], rest[_NONCE:], _bound(bound_to))
    except InvalidTag:
        raise CannotOpen("a secret cannot be opened: its row was changed by something other than Causeway") from None


def is_newest(sealed: bytes) -> bool:
    """Whether it is sealed with the key that seals now."""
    return sealed[1 : 1 + _ID] == _key_id(_keys()[0])


def _keys() -> tuple[bytes, ...]:
    own = [part.strip() for part in settings.CAUSEWAY_SECRETS_KEY.split(",") if part.strip()]
    return _derived((*own, settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


@lru_cache(maxsize=4)
def _derived(texts: tuple[str, ...]) -> tuple[bytes, ...]:
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

    return tuple(
        HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"causeway.secrets").derive(text.encode())
        for text in texts
    )


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()[:_ID]


def _bound(to: Sequence[str]) -> bytes:
    return json.dumps(list(to)).encode()
