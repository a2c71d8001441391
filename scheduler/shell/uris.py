"""Where the data of an execution lies in the object store."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings


@dataclass(frozen=True, slots=True)
class Uris:
    """`metadata`: protobuf of inputs, outputs, errors; `raw`: what user code offloads (the launch may say where)."""

    metadata: str
    raw: str

    @classmethod
    def of(cls, project: str, domain: str, name: str, raw_prefix: str = "") -> Uris:
        path = f"{project}/{domain}/{name}"
        root = settings.CAUSEWAY_STORE_URL
        return cls(f"{root}/metadata/{path}", f"{raw_prefix.rstrip('/') or root + '/raw'}/{path}")

    def node(self, key: str) -> str:
        """Folder of a node; of the execution itself if the key is empty."""
        return f"{self.metadata}/{key}" if key else self.metadata

    def inputs(self, key: str) -> str:
        return f"{self.node(key)}/inputs.pb"

    def outputs(self, key: str) -> str:
        return f"{self.node(key)}/outputs.pb"

    def attempt(self, key: str, attempt: int, index: int = -1) -> str:
        prefix = f"{self.node(key)}/{attempt}"
        return prefix if index < 0 else f"{prefix}/{index}"

    def raw_output(self, key: str, attempt: int, index: int = -1) -> str:
        prefix = f"{self.raw}/{key}/{attempt}"
        return prefix if index < 0 else f"{prefix}/{index}"

    def item_outputs(self, key: str, index: int) -> str:
        """Of an item of a map that publishes: its outputs, carrying their versions' ids."""
        return f"{self.node(key)}/items/{index}/outputs.pb"
