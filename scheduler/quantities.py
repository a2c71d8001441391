"""Amounts as Kubernetes writes them."""

from __future__ import annotations

import re
from decimal import Decimal

from artifacts.exceptions import InvalidArgument

_QUANTITY = re.compile(r"^\s*\+?([0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE]([+-]?[0-9]{1,3})|([a-zA-Z]*))\s*$", re.ASCII)
_SUFFIXES: dict[str, Decimal | int] = {
    "": 1, "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"),
    "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60,
}  # fmt: skip
_MOST = 2**63 - 1  # Kubernetes cuts larger quantities down to it


def quantity(text: str) -> float:
    """A Kubernetes quantity (`500m`, `1Gi`, `2`, `1e3`) as a number. InvalidArgument if it is none.

    The grammar of apimachinery's resource.Quantity; a negative amount of a resource cannot be meant.
    """
    match = _QUANTITY.match(text)
    if match is None or (match[3] or "") not in _SUFFIXES:
        raise InvalidArgument(f"{text!r} is not a resource quantity such as 500m, 1Gi or 2")
    factor = Decimal(10) ** int(match[2]) if match[2] else _SUFFIXES[match[3] or ""]
    return float(min(Decimal(match[1]) * factor, Decimal(_MOST)))
