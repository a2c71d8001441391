"""Who sends to a hook, and how: programs of one's own as docs/howto/hooks.md says, and MLflow's webhooks as they are.

Each signs in its own way, with the hook's secret, and MLflow says in its own words what is to be published.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from artifacts.exceptions import InvalidArgument, Unauthenticated

OURS, MLFLOW = "Causeway-Signature", "X-MLflow-Signature"
_OURS = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")
_TIME = re.compile(r"[0-9]{1,12}")
NEW_VERSION = ("model_version", "created")


@dataclass(frozen=True)
class Signed:
    """`before`: what stands before the body in what was signed. `at`: seconds since 1970."""

    sender: str
    at: int
    before: bytes
    mac: bytes

    def is_by(self, secret: str, body: bytes) -> bool:
        expected = hmac.new(secret.encode(), self.before + body, hashlib.sha256).digest()
        return hmac.compare_digest(expected, self.mac)

    @property
    def seen(self) -> str:
        """By which it is known again."""
        return self.mac.hex()


def read_signature(headers: Mapping[str, str]) -> Signed:
    """Unauthenticated where none of the known headers is there and right in form."""
    ours = _OURS.fullmatch(headers.get(OURS, "").strip())
    if ours is not None:
        return Signed(OURS, int(ours[1]), f"{ours[1]}.".encode(), bytes.fromhex(ours[2]))
    scheme, _, text = headers.get(MLFLOW, "").strip().partition(",")
    at, delivery = headers.get("X-MLflow-Timestamp", ""), headers.get("X-MLflow-Delivery-Id", "")
    if scheme == "v1" and _TIME.fullmatch(at) and delivery:
        try:
            mac = base64.b64decode(text, validate=True)
        except binascii.Error:
            mac = b""
        if len(mac) == hashlib.sha256().digest_size:
            return Signed(MLFLOW, int(at), f"{delivery}.{at}.".encode(), mac)
    raise Unauthenticated(
        f"send the header {OURS}: t=<seconds>,v1=<HMAC-SHA256 in hexadecimal>, or what MLflow's webhooks send"
    )


def publication_in(data: dict[str, Any], sender: str) -> dict[str, Any] | None:
    """The body of a publication; None where there is nothing to publish (MLflow's other events, its test)."""
    if sender != MLFLOW:
        return data
    if (data.get("entity"), data.get("action")) != NEW_VERSION:
        return None
    told = data.get("data")
    if not isinstance(told, dict) or not all(isinstance(told.get(one), str) for one in ("name", "version", "source")):
        raise InvalidArgument("an event of MLflow about a model's version has data with its name, version and source")
    said = told.get("tags")
    tags: dict[Any, Any] = said if isinstance(said, dict) else {}
    run = {"mlflow.run": str(told["run_id"])} if told.get("run_id") else {}
    source = {"mlflow.model": told["name"], "mlflow.version": told["version"], "mlflow.source": told["source"]}
    return {
        "uri": _address(told["source"]),
        "shape": "directory",
        "kind": "model",
        "version": f"mlflow-{told['version']}",
        "description": str(told.get("description") or ""),
        "producer": f"mlflow:{told['name']}/{told['version']}"[:400],
        "metadata": {**{str(key): str(value) for key, value in tags.items()}, **run, **source},
    }


def _address(source: str) -> str:
    """An event does not say which server it comes from: what only that one can resolve opens nothing for others."""
    try:
        parts = urlsplit(source)
    except ValueError as error:
        raise InvalidArgument(f"the source {source[:200]!r} of the model's version is no address: {error}") from None
    if parts.netloc and parts.scheme != "file":
        return source
    scheme = parts.scheme if len(parts.scheme) > 1 and parts.scheme != "file" else "mlflow"
    return f"{scheme}://mlflow/{parts.path.lstrip('/')}"
