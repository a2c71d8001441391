"""Who decides about gates, and the evidence of what was decided."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causeway.http import CausewayError

if TYPE_CHECKING:
    from causeway.client import Client

FORMAT = "causeway.evidence/1"


class Approvers:
    """Rules, groups of approvers, and delegations, over the REST API."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def rules(self, **filters: str) -> Iterator[dict[str, Any]]:
        """Who decides about what; `filters`: project, domain."""
        return self._client.connection.pages("approval-rules", **filters)

    def set_rule(self, *, project: str = "", **rule: Any) -> dict[str, Any]:
        """Replace the rule of a place; members as the REST API has them: domain, workflow, signal_id, people, groups,
        role, quorum, rejections, author_may, escalate_hours, escalate_to.
        """
        body = {"project": project or self._client.project, **rule}
        return dict(self._client.connection.call("PUT", "approval-rules", json=body))

    def remove_rule(self, rule_id: int) -> None:
        """The next wider rule holds, or any one approver decides."""
        self._client.connection.call("DELETE", f"approval-rules/{rule_id}")

    def groups(self, **filters: str) -> Iterator[dict[str, Any]]:
        """Groups of people who decide; `filters`: project."""
        return self._client.connection.pages("approver-groups", **filters)

    def set_group(self, name: str, members: Sequence[str], *, project: str = "") -> dict[str, Any]:
        """Make a group, or put these people into it instead."""
        path = f"approver-groups/{project or self._client.project}/{name}"
        return dict(self._client.connection.call("PUT", path, json={"members": list(members)}))

    def remove_group(self, name: str, *, project: str = "") -> None:
        """CausewayError (409) while a rule names it."""
        self._client.connection.call("DELETE", f"approver-groups/{project or self._client.project}/{name}")

    def delegations(self) -> Iterator[dict[str, Any]]:
        """From and to you, and of projects that you administer."""
        return self._client.connection.pages("delegations")

    def delegate(self, to: str, *, until: datetime, project: str = "", reason: str = "", giver: str = "") -> int:
        """Let somebody decide for you (or for `giver`, as an admin), until then; the id, to revoke it by."""
        body: dict[str, Any] = {"to": to, "ends_at": until.isoformat(), "project": project, "reason": reason}
        body |= {"giver": giver} if giver else {}
        return int(self._client.connection.call("POST", "delegations", json=body)["id"])

    def revoke(self, delegation: int) -> None:
        """It ends now."""
        self._client.connection.call("DELETE", f"delegations/{delegation}")

    def evidence(self, gate: int) -> dict[str, Any]:
        """The signed evidence of the last decision about a gate."""
        return dict(self._client.connection.call("GET", f"gates/{gate}/evidence"))

    def keys(self) -> dict[str, str]:
        """The public keys that evidence is signed with, in base64, by id: keep them to verify it offline."""
        return {one["id"]: one["public"] for one in self._client.connection.call("GET", "evidence/keys")["results"]}


class Forged(CausewayError):
    """A file is no evidence, or not as it was signed."""


def keys_file() -> Path:
    """Where trusted public keys are kept on this machine: `CAUSEWAY_EVIDENCE_KEYS`, else below the user's settings."""
    given = os.environ.get("CAUSEWAY_EVIDENCE_KEYS")
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(given) if given else Path(base) / "causeway" / "evidence-keys.json"


def trust(keys: Mapping[str, str], path: Path | None = None) -> Path:
    """Keep these public keys among those that are trusted here; the file they are in."""
    path = path or keys_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**trusted(path), **keys}, indent=2) + "\n")
    return path


def trusted(path: Path | None = None) -> dict[str, str]:
    """The public keys that are trusted here, in base64, by id; of a single key's file too. Forged for another file."""
    path = path or keys_file()
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text())
        return {str(key): str(public) for key, public in found.items()}
    except (ValueError, AttributeError):
        raise Forged(f"{path} holds no keys: a JSON object of ids and public keys in base64 is expected") from None


def verify(document: object, keys: Mapping[str, str]) -> dict[str, Any]:
    """The document, when one of the keys signed exactly this; asks no server. Forged says what is wrong with it.

    Ed25519 (RFC 8032) over the document without its `signature`, as JSON with sorted keys and without spaces.
    """
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise Forged(f"this is no evidence: a JSON object whose format is {FORMAT!r} is expected")
    key = document.get("key")
    key_id = key.get("id") if isinstance(key, dict) else None
    if not isinstance(key_id, str) or key_id not in keys:
        known = ", ".join(sorted(keys)) or "none"
        raise Forged(
            f"it is signed with the key {key_id!r}, which is not trusted here (trusted: {known}); "
            "`causeway evidence keys --trust` asks the server for its keys"
        )
    if not _is_signed(document, keys[key_id]):
        raise Forged("the signature does not fit: the file was changed after it was signed, or never was signed")
    reviewed = document.get("reviewed")
    if reviewed and hashlib.sha256(_canonical(reviewed, ascii_only=True)).hexdigest() != document["reviewed_digest"]:
        raise Forged("what was reviewed does not have the digest that the file says")
    return document


def _is_signed(document: Mapping[str, Any], public: str) -> bool:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        raise CausewayError("verifying needs the package cryptography: pip install 'causeway[evidence]'") from None
    rest = {name: value for name, value in document.items() if name != "signature"}
    try:
        signature = base64.b64decode(str(document.get("signature", "")), validate=True)
        Ed25519PublicKey.from_public_bytes(base64.b64decode(public)).verify(signature, _canonical(rest))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _canonical(value: object, *, ascii_only: bool = False) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=ascii_only).encode()
