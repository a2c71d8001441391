"""What a task may say about a version besides its card: metrics to compare, attributes to search for."""

from __future__ import annotations

import json
import math
from typing import Any

METRICS_KEY = "_um"  # literal metadata under which the control plane looks for them
ATTRIBUTES_KEY = "_uat"
CHECK_PREFIX = "_uck."  # and the name of the check


class Metrics:
    """Numbers that the version is compared and searched by: `metric.auc>0.9`.

    return Model.create_from(model, ModelCard("..."), Metrics(auc=0.93, rows=1000))

    :raises ValueError: for what is not a finite number
    """

    def __init__(self, values: dict[str, float] | None = None, /, **more: float) -> None:
        self.values = {**(values or {}), **more}
        for name, value in self.values.items():
            if isinstance(value, bool) or not math.isfinite(value):
                raise ValueError(f"metric {name!r} must be a finite number, not {value!r}")

    def serialize_to_string(self, ctx: Any, variable_name: str) -> tuple[str, str]:
        """flytekit's `SerializableToString`: the metadata key and value to put on the output's literal."""
        return METRICS_KEY, json.dumps({name: float(value) for name, value in self.values.items()})


class Check:
    """What a check of your own says of the version that is being published.

    return Dataset.create_from(frame, Check("nulls", passed=share < 0.1, numbers={"share": share}))

    With a check of that name on the artifact its severity counts, and where that has bounds a `value` is enough.

    :param passed: whether it holds; None with a `value` that the artifact's check has bounds for
    :param severity: "block" or "warn", of a check that the artifact does not have
    :raises ValueError: for neither `passed` nor a value, and numbers that are not finite
    """

    def __init__(
        self,
        name: str,
        passed: bool | None = None,
        *,
        value: float | None = None,
        message: str = "",
        numbers: dict[str, float] | None = None,
        evidence: dict[str, Any] | None = None,
        severity: str = "",
    ) -> None:
        if passed is None and value is None:
            raise ValueError(f"check {name!r} says neither whether it passed nor a value")
        for said, number in {**(numbers or {}), **({"value": value} if value is not None else {})}.items():
            if isinstance(number, bool) or not math.isfinite(number):
                raise ValueError(f"{said} of check {name!r} must be a finite number, not {number!r}")
        self.name = name
        self.said: dict[str, Any] = {"passed": passed if passed is None else bool(passed), "value": value}
        self.said |= {"message": message, "numbers": dict(numbers or {}), "evidence": dict(evidence or {})}
        self.said["severity"] = severity

    def serialize_to_string(self, ctx: Any, variable_name: str) -> tuple[str, str]:
        """flytekit's `SerializableToString`: the metadata key and value to put on the output's literal."""
        said = {key: one for key, one in self.said.items() if one not in (None, "", {})}
        return CHECK_PREFIX + self.name, json.dumps(said, default=str)


class Attributes:
    """Text that says what kind of version it is: `Attributes(framework="sklearn", owner="forecast")`."""

    def __init__(self, values: dict[str, str] | None = None, /, **more: str) -> None:
        self.values = {name: str(value) for name, value in {**(values or {}), **more}.items()}

    def serialize_to_string(self, ctx: Any, variable_name: str) -> tuple[str, str]:
        """flytekit's `SerializableToString`: the metadata key and value to put on the output's literal."""
        return ATTRIBUTES_KEY, json.dumps(self.values)
