"""What a task may say about a version besides its card: metrics to compare, attributes to search for."""

from __future__ import annotations

import json
import math
from typing import Any

METRICS_KEY = "_um"  # literal metadata under which the control plane looks for them
ATTRIBUTES_KEY = "_uat"


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


class Attributes:
    """Text that says what kind of version it is: `Attributes(framework="sklearn", owner="forecast")`."""

    def __init__(self, values: dict[str, str] | None = None, /, **more: str) -> None:
        self.values = {name: str(value) for name, value in {**(values or {}), **more}.items()}

    def serialize_to_string(self, ctx: Any, variable_name: str) -> tuple[str, str]:
        """flytekit's `SerializableToString`: the metadata key and value to put on the output's literal."""
        return ATTRIBUTES_KEY, json.dumps(self.values)
