"""Numbers as text that loses nothing: the shortest that reads back as the same number."""

from __future__ import annotations

import math
from decimal import Decimal


def plain(number: float) -> str:
    """As a person writes it: `60`, `0.125`."""
    return repr(number).removesuffix(".0")


def as_go_prints(number: float) -> str:
    """What Go's `fmt.Sprintf("%v", float64)` gives: the shortest digits, with an exponent below 1e-4 and
    from 1e+06 on.

    >>> as_go_prints(1234567.0)
    '1.234567e+06'
    """
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    sign, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    if not any(digits) or not isinstance(exponent, int):
        return "-0" if sign else "0"
    text, power = "".join(map(str, digits)), len(digits) + exponent - 1
    if -4 <= power < 6:  # what strconv has for the shortest digits, not the 21 of encoding/json
        whole = text[: power + 1].ljust(power + 1, "0") if power >= 0 else "0"
        rest = text[power + 1 :] if power >= 0 else "0" * (-power - 1) + text
    else:
        whole, rest = text[0], text[1:]
    mantissa = f"{'-' if sign else ''}{whole}{f'.{rest}' if rest else ''}"
    return mantissa if -4 <= power < 6 else f"{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"
