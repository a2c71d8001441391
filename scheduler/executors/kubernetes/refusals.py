"""What it means when a cluster does not make a pod."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass

from artifacts.exceptions import CausewayError
from scheduler.executors.kubernetes.client import ApiError
from scheduler.quantities import quantity


class Kind(enum.Enum):
    LATER = "later"  # the cluster is busy or away: the same again after a while
    QUOTA = "quota"  # used up: something else has to end first
    CLOSING = "closing"  # its namespace is being deleted
    EXISTS = "exists"  # a pod of that name is there: ours, another's, or one that is being deleted
    WEBHOOK = "webhook"  # a program that is asked about each pod of the namespace (Kueue's is one) does not answer
    SOON = "soon"  # what every namespace has is not there yet: controllers make it
    NO_NAMESPACE = "no namespace"
    NO_RIGHT = "no right"  # Causeway itself may not
    REFUSED = "refused"  # it will never take this pod


@dataclass(frozen=True)
class Refusal:
    kind: Kind
    message: str
    after: float = 0.0  # seconds to wait at least
    mended_by: str = ""  # who can mend it, and how: a sentence


BY_QUOTA = "ask for less, or have an administrator of the cluster raise the quota"
BY_OPERATORS = "it goes on by itself once who runs the cluster has mended that"
BY_CREDENTIALS = "an administrator renews its kubeconfig"
BY_RIGHTS = "an administrator of the cluster gives it the role in docs/howto/kubernetes.md"
BY_RULES = "ask for what the cluster's rules allow, or have an administrator of the cluster change them"
BY_AUTHOR = "whoever wrote the task or its pod template can mend it"

_NO_RIGHT = re.compile(r"cannot (create|get|patch) resource")
_USED = re.compile(r", used: .*?(?=, limited: )", re.DOTALL)
_EXCEEDED = re.compile(r"exceeded quota: ([^,]+), requested: (.*), used: (.*), limited: (.*)$", re.DOTALL)


def refusal(error: ApiError) -> Refusal:
    """Quotas are known by their text only: everything else that is forbidden looks the same."""
    if error.status == 403 and "exceeded quota:" in error.message:
        if too_much := _never_fits(error.message):
            return Refusal(Kind.REFUSED, f"{too_much}: {error.message}", mended_by=BY_QUOTA)
        return Refusal(Kind.QUOTA, _shortly(error.message), error.retry_after)
    if error.status == 409:
        return Refusal(Kind.EXISTS, error.message)
    if error.status == 404:
        return Refusal(Kind.NO_NAMESPACE, error.message)
    if "etcdserver: request is too large" in error.message or "larger than max" in error.message:
        return Refusal(Kind.REFUSED, "the pod is larger than the cluster keeps objects")
    if error.status == 403 and "being terminated" in error.message:  # of the namespace
        return Refusal(Kind.CLOSING, error.message)
    if error.status == 403 and "error looking up service account" in error.message and "/default:" in error.message:
        return Refusal(Kind.SOON, error.message)
    if error.status == 401:
        return Refusal(Kind.LATER, f"it does not know Causeway's credentials ({error.message}): {BY_CREDENTIALS}")
    if error.status == 0:
        return Refusal(Kind.LATER, f"{error.message}; {BY_OPERATORS}")
    if error.status >= 500 and "failed calling webhook" in error.message:
        return Refusal(Kind.WEBHOOK, f"{error.message}; {BY_OPERATORS}", error.retry_after)
    if error.status in (408, 425, 429) or error.status >= 500:
        return Refusal(Kind.LATER, error.message, error.retry_after)
    if error.status == 403 and _NO_RIGHT.search(error.message):
        return Refusal(Kind.NO_RIGHT, error.message, mended_by=BY_RIGHTS)
    return Refusal(Kind.REFUSED, error.message, mended_by=BY_RULES if error.status == 403 else BY_AUTHOR)


def _never_fits(message: str) -> str:
    """Which request is above its whole quota, in words; empty if the quota is only used up for now."""
    found = _EXCEEDED.search(message)
    if found is None:
        return ""
    requested, limited = _amounts(found[2]), _amounts(found[4])
    for name, amount in requested.items():
        if name in limited and amount > limited[name]:
            return f"it asks for more {name} than the quota {found[1]} of its namespace has in all"
    return ""


def _amounts(text: str) -> Mapping[str, float]:
    amounts = {}
    for pair in text.split(","):
        name, _, amount = pair.strip().rpartition("=")
        try:
            amounts[name] = quantity(amount)
        except CausewayError:
            continue
    return amounts


def _shortly(message: str) -> str:
    """Without the pod's name before it."""
    return message[message.index("exceeded quota:") :]


def without_use(message: str) -> str:
    """The text without what is used at the moment, which is another one each time."""
    return _USED.sub("", message)
