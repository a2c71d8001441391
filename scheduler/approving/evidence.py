"""The evidence of a decision: one JSON document that says what was decided, by whom, by which rule and about what,
signed so that it can be checked years later without Causeway.

The signature is Ed25519 (RFC 8032) over the document without its `signature`, as JSON with sorted keys, without spaces,
in UTF-8, non-ASCII characters as they are.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings
from django.utils import timezone

from artifacts.exceptions import InvalidArgument, NotFound
from scheduler.approving import keys
from scheduler.approving.review import digest_of
from scheduler.approving.standing import stands, whole
from scheduler.models import Decision, Gate, Promotion

FORMAT = "causeway.evidence/1"


def canonical(document: Mapping[str, Any]) -> bytes:
    """What is signed: everything but the signature."""
    rest = {key: value for key, value in document.items() if key != "signature"}
    return json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def evidence_of(decision: Decision) -> dict[str, Any]:
    """The signed document of the decision as it stands now."""
    stands(decision)
    key = keys.signing_key()
    document = {**_facts(decision), "issued_at": timezone.now().isoformat(), "issuer": settings.CAUSEWAY_PUBLIC_URL}
    document["key"] = {"algorithm": "Ed25519", "id": key.key_id, "public": base64.b64encode(key.public).decode()}
    signed = keys.private_half(key).sign(canonical(document))
    return {**document, "signature": base64.b64encode(signed).decode()}


def _facts(decision: Decision) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "decision": {
            "id": decision.pk,
            "approved": decision.approved,
            "at": decision.at.isoformat(),
            "voided_at": decision.voided_at.isoformat() if decision.voided_at is not None else None,
            "void_reason": decision.void_reason,
        },
        "subject": decision.subject,
        "gate": _gate(decision.gate) if decision.gate is not None else None,
        "promotion": _promotion(decision.promotion) if decision.promotion is not None else None,
        "version": str(decision.version) if decision.version is not None else None,
        "rule": decision.rule,
        "votes": decision.votes,
        "reviewed": decision.reviewed,
        "reviewed_digest": decision.digest,
    }


def _gate(gate: Gate) -> dict[str, Any]:
    execution = gate.execution
    return {
        "id": gate.pk,
        "execution": execution.key,
        "launched_by": execution.principal,
        "workflow": f"{execution.workflow.name}@{execution.workflow.version}",
        "node": gate.node.node_id if gate.node is not None else None,
        "signal_id": gate.signal_id,
        "asked_at": gate.waiting_since.isoformat() if gate.waiting_since is not None else None,
    }


def _promotion(promotion: Promotion) -> dict[str, Any]:
    return {
        "id": promotion.pk,
        "source": str(promotion.source),
        "to": f"{promotion.project}/{promotion.domain}/{promotion.name}",
        "requested_by": promotion.requested_by,
        "requested_at": promotion.requested_at.isoformat(),
        "reason": promotion.reason,
    }


def verify(document: object, *, trusted: Mapping[str, bytes]) -> dict[str, Any]:
    """The document, when one of the trusted keys (public halves, by id) signed exactly this.

    InvalidArgument says what is wrong with it: no such document, an unknown key, or changed since it was signed.
    """
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InvalidArgument(f"this is no evidence: a JSON object whose format is {FORMAT!r} is expected")
    key = document.get("key")
    key_id = key.get("id") if isinstance(key, dict) else None
    if not isinstance(key_id, str) or key_id not in trusted:
        known = ", ".join(sorted(trusted)) or "none"
        raise InvalidArgument(f"it is signed with the key {key_id!r}, which is none of this Causeway's ({known})")
    try:
        signature = base64.b64decode(str(document.get("signature", "")), validate=True)
        Ed25519PublicKey.from_public_bytes(trusted[key_id]).verify(signature, canonical(document))
    except (InvalidSignature, binascii.Error, ValueError, TypeError):
        raise InvalidArgument(
            "the signature does not fit: the file was changed after it was signed, or never was signed"
        ) from None
    reviewed = document.get("reviewed")
    if reviewed and digest_of(reviewed) != document.get("reviewed_digest"):
        raise InvalidArgument("what was reviewed does not have the digest that the file says")
    return document


def keys_json() -> list[dict[str, str]]:
    """The public halves of all keys, as doors give them out."""
    return [
        {"id": key_id, "algorithm": "Ed25519", "public": base64.b64encode(public).decode()}
        for key_id, public in keys.public_keys().items()
    ]


def decision_named(document: Mapping[str, Any]) -> Decision:
    """The decision that a verified document is about, looked at again. InvalidArgument where there is no such row."""
    found = whole().filter(pk=document["decision"]["id"], digest=document["reviewed_digest"]).first()
    if found is None:
        raise InvalidArgument("the signature is right, but there is no such decision in the database any more")
    stands(found)
    return found


def decision_about(promotion: Promotion) -> Decision:
    """The last decision about a promotion; NotFound where there is none."""
    found = whole().filter(promotion=promotion).order_by("-pk").first()
    if found is None:
        raise NotFound(f"nothing was decided about promotion {promotion.pk}")
    return found
