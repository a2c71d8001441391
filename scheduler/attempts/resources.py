"""Amounts of what a machine has and an attempt needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

UNITS = {"cpu": "cpu", "memory": "memory", "gpu": "gpu", "ephemeral_storage": "ephemeral storage"}


@dataclass(frozen=True)
class Resources:
    cpu: float = 0.0  # cores
    memory: int = 0  # bytes
    gpu: int = 0
    ephemeral_storage: int = 0  # bytes

    @classmethod
    def parse(
        cls, amounts: Mapping[str, Any], *, default_cpu: float = 0.0, within: Resources | None = None
    ) -> Resources:
        """From TaskExecution.resources; what is missing there is zero, or `default_cpu`.

        `within`: what the machine has in all. Where a task gave only a limit (`at_most`) it gets no more than that.
        """
        needs = cls(
            cpu=float(amounts.get("cpu") or default_cpu),
            memory=int(amounts.get("memory") or 0),
            gpu=int(amounts.get("gpu") or 0),
            ephemeral_storage=int(amounts.get("ephemeral_storage") or 0),
        )
        if within is None:
            return needs
        return replace(needs, **{name: min(getattr(needs, name), getattr(within, name)) for name in at_most(amounts)})

    def __add__(self, other: Resources) -> Resources:
        return Resources(*(getattr(self, name) + getattr(other, name) for name in UNITS))

    def __sub__(self, other: Resources) -> Resources:
        return Resources(*(getattr(self, name) - getattr(other, name) for name in UNITS))

    def lacking(self, needed: Resources) -> list[str]:
        """What `needed` has more of than this, in words: ["memory 8.0 GiB of 4.0 GiB"]."""
        return [
            f"{UNITS[name]} {_words(name, getattr(needed, name))} of {_words(name, getattr(self, name))}"
            for name in UNITS
            if getattr(needed, name) > getattr(self, name) + 1e-9
        ]

    def reserved(self, needed: Resources) -> Resources:
        """What is left for others while what `needed` asks for is kept for it: nothing of what there is too little."""
        return Resources(*(max(0, getattr(self, name) - getattr(needed, name)) for name in UNITS))

    def as_json(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in UNITS}


def at_most(amounts: Mapping[str, Any]) -> list[str]:
    """The names in TaskExecution.resources of what was limited and not requested."""
    return [name for name in amounts.get("at_most") or () if name in UNITS]


def _words(name: str, amount: float) -> str:
    if name in ("cpu", "gpu"):
        return f"{amount:g}"
    return f"{amount / 1024**3:.1f} GiB" if amount >= 1024**3 else f"{amount / 1024**2:.0f} MiB"
