"""What quotas are of: names, units, and amounts as people write them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from artifacts.exceptions import InvalidArgument
from scheduler.quantities import quantity

EXECUTIONS = "executions"  # running executions; those that an execution launches are part of it
LAUNCHES = "launches"  # executions that start within a minute
ATTEMPTS = "attempts"  # tries of tasks (on clusters: pods) that an executor holds
CPU, MEMORY, STORAGE, GPU = "cpu", "memory", "ephemeral-storage", "nvidia.com/gpu"
CPU_HOURS, GPU_HOURS = "cpu-hours", "gpu-hours"  # used within a window
WEIGHT = "weight"  # of a project in turns
PREEMPTION = "preemption"  # whether a project takes part in it: 1 or 0
MODEL = "gpu:"  # before the name of a GPU's model
HOURS = {CPU_HOURS: CPU, GPU_HOURS: GPU}  # and what they are hours of
OF_EXECUTIONS = frozenset({EXECUTIONS, LAUNCHES})
SETTINGS = frozenset({WEIGHT, PREEMPTION})  # these limit nothing: they say how others are shared
BYTES = frozenset({MEMORY, STORAGE})
# Of these a limit is a stop that is lifted again: what asks for one of them waits, however small the limit is.
PAUSES = frozenset({EXECUTIONS, LAUNCHES, ATTEMPTS, *HOURS})
_WORDS = {"gpu": GPU, "ephemeral_storage": STORAGE, "pods": ATTEMPTS, "tasks": ATTEMPTS}  # other words for the same
_NAMES = (EXECUTIONS, LAUNCHES, ATTEMPTS, CPU, MEMORY, STORAGE, GPU, CPU_HOURS, GPU_HOURS, *sorted(SETTINGS))
_WHOLE = frozenset({EXECUTIONS, LAUNCHES, ATTEMPTS, GPU, PREEMPTION})
# Kubernetes' extended resources: a domain and a name (apimachinery's IsQualifiedName)
_EXTENDED = re.compile(r"(?=.{1,128}\Z)[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_MODEL = re.compile(r"gpu:[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
MOST = 2.0**53  # above it floats are no whole numbers any more
LEAST = 0.001  # the smallest part that Kubernetes knows (`1m`)
DEFAULT_CPU = 0.125  # cores of a task that does not say: what an executor counts for it


def named(text: str) -> str:
    """The resource of that name. InvalidArgument for one that nothing asks for."""
    name = _WORDS.get(text.strip(), text.strip())
    if name in _NAMES or _EXTENDED.fullmatch(name) or _MODEL.fullmatch(name):
        return name
    raise InvalidArgument(
        f"{text!r} is no resource: there are {', '.join(_NAMES)}, gpu:MODEL for the model of a GPU, and names of "
        "Kubernetes with a domain such as google.com/tpu"
    )


def amount(resource: str, given: object, what: str = "the limit") -> float:
    """What somebody wrote (4, "500m", "16Gi") as a number. InvalidArgument, also for what is negative or absurd."""
    number = _number(given, what)
    if not 0 <= number <= MOST:
        raise InvalidArgument(f"{what} of {resource} must be between 0 and 2^53, not {given}")
    if 0 < number < LEAST:
        raise InvalidArgument(f"{what} of {resource} must be 0 or at least {LEAST}, not {given}")
    if is_whole(resource) and number != math.floor(number):
        raise InvalidArgument(f"{what} of {resource} must be a whole number, not {given}")
    if resource == WEIGHT and what == "the limit" and not 0.01 <= number <= 1000:
        raise InvalidArgument(f"a weight is between 0.01 and 1000, not {given}")
    if resource == PREEMPTION and number > 1:
        raise InvalidArgument(f"preemption is 1 (the project takes part in it) or 0, not {given}")
    return number


def _number(given: object, what: str) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        raise InvalidArgument(f"{what} must be a number or a quantity such as 500m or 16Gi, not {given!r}")
    if isinstance(given, str):
        text = given.strip()
        if text.startswith("-"):
            raise InvalidArgument(f"{what} cannot be negative: {given}")
        return quantity(text)
    number = float(max(-2 * MOST, min(2 * MOST, given))) if isinstance(given, int) else given
    if math.isnan(number) or math.isinf(number):
        raise InvalidArgument(f"{what} must be a finite number, not {given}")
    return number


def is_whole(resource: str) -> bool:
    return resource in _WHOLE or resource.startswith(MODEL) or "/" in resource


def words(resource: str, number: float) -> str:
    """The amount for people."""
    if resource == PREEMPTION:
        return "on" if number else "off"
    if resource in BYTES:
        for factor, unit in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
            if number >= factor:
                return f"{number / factor:.4g} {unit}"
        return f"{number:g} B"
    return f"{number:.0f}" if number == math.floor(number) and number < 1e15 else f"{number:.6g}"


def demand_of(resources: Mapping[str, Any], needs: Mapping[str, Any], *, waits_only: bool = False) -> dict[str, float]:
    """What one attempt counts for: from TaskExecution.resources and, in the spec's words, what its container asks for.

    `waits_only`: an eager workflow's own attempt, which waits for what it launches: were it counted, those could wait
    for ever for what it holds.
    """
    if waits_only:
        return {}
    gpus = float(resources.get("gpu") or 0)
    asked = {**needs.get("limits", {}), **needs.get("requests", {})}
    demand: dict[str, float] = {ATTEMPTS: 1.0, CPU: float(resources.get("cpu") or DEFAULT_CPU)}
    demand[MEMORY] = float(resources.get("memory") or 0)
    demand[STORAGE] = float(resources.get("ephemeral_storage") or 0)
    for name, text in asked.items():
        if "/" in name and name != GPU:
            demand[name] = quantity(str(text))
    demand[GPU] = gpus
    if model := str(resources.get("accelerator") or ""):
        demand[MODEL + model] = gpus or 1.0
    return {name: number for name, number in demand.items() if number}
