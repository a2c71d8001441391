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
    EXISTS = "exists"  # a pod of that name is there: ours, another's, or one that is being deleted
    NO_NAMESPACE = "no namespace"
    REFUSED = "refused"  # it will never take this pod


@dataclass(frozen=True)
class Refusal:
    kind: Kind
    message: str
    after: float = 0.0  # seconds to wait at least


_USED = re.compile(r", used: .*?(?=, limited: )", re.DOTALL)
_EXCEEDED = re.compile(r"exceeded quota: ([^,]+), requested: (.*), used: (.*), limited: (.*)$", re.DOTALL)


def refusal(error: ApiError) -> Refusal:
    """Quotas are known by their text only: everything else that is forbidden looks the same."""
    if error.status == 403 and "exceeded quota:" in error.message:
        if too_much := _never_fits(error.message):
            return Refusal(Kind.REFUSED, f"{too_much}: {error.message}")
        return Refusal(Kind.QUOTA, _shortly(error.message), error.retry_after)
    if error.status == 409:
        return Refusal(Kind.EXISTS, error.message)
    if error.status == 404:
        return Refusal(Kind.NO_NAMESPACE, error.message)
    if "etcdserver: request is too large" in error.message or "larger than max" in error.message:
        return Refusal(Kind.REFUSED, "the pod is larger than the cluster keeps objects")
    if error.status == 403 and "being terminated" in error.message:  # of the namespace
        return Refusal(Kind.LATER, error.message)
    if error.status in (0, 401, 408, 425, 429) or error.status >= 500:
        return Refusal(Kind.LATER, error.message, error.retry_after)
    return Refusal(Kind.REFUSED, error.message)


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
