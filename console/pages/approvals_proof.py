"""The evidence of a decision as a page that prints."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from scheduler.approving.evidence import evidence_of
from scheduler.models import Decision


def proof_context(decision: Decision) -> dict[str, Any]:
    """All that the signed file says, in an order that people read."""
    document = evidence_of(decision)
    return {
        "decision": decision,
        "gate": decision.gate,
        "document": document,
        "reviewed": [(name, _words(value)) for name, value in sorted(document["reviewed"].items())],
        "file": _file(decision),
    }


def _file(decision: Decision) -> str:
    return reverse("evidence-file", args=[decision.pk])


def _words(value: object) -> list[tuple[str, str]]:
    """A digest alone, or several facts under their names."""
    if isinstance(value, dict):
        return [(str(name), _spelled(one)) for name, one in sorted(value.items())]
    return [("", str(value))]


def _spelled(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={one}" for key, one in sorted(value.items())) or "none"
    return "none" if value in (None, "") else str(value)
