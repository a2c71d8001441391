"""Where the data of executions lies in the object store. Nothing else knows the layout.

metadata/<project>/<domain>/<execution>/inputs.pb, outputs.pb     of the execution itself
metadata/.../<node>/inputs.pb, outputs.pb, task.pb                of a node
metadata/.../<node>/<attempt>[/<item>]/outputs.pb, dynamic.pb ... what an attempt wrote, and what came of it
metadata/.../<node>/items/<item>/inputs.pb, outputs.pb            of an item of a map
metadata/.../<node>/items/<first>-<last>-<digest>/inputs.pb         the lists of some of its items
raw/<project>/<domain>/<execution>/<node>/<attempt>[/<item>]      what user code offloads
logs/<project>/<domain>/<execution>/<node>.<attempt>[-<item>].log
logs/.../<node>.<attempt>[-<item>].<replica>.log                  of the others of a job's replicas: `worker-1`
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.conf import settings

# What flytekit calls the files that an attempt leaves at its output prefix.
OUTPUTS, ERROR, DECK = "outputs.pb", "error.pb", "deck.html"
CHECKS = "checks.json"  # causeway.validators, beside a deck
FUTURES = "futures.pb"  # the outputs of a dynamic task that returned a workflow
_EXECUTION = re.compile(r"/metadata/([^/]+)/([^/]+)/([^/]+)/")


@dataclass(frozen=True, slots=True)
class Uris:
    """`metadata`: protobuf of inputs, outputs, errors; `raw`: what user code offloads (the launch may say where)."""

    metadata: str
    raw: str

    @classmethod
    def of(cls, project: str, domain: str, name: str, raw_prefix: str = "") -> Uris:
        return cls.of_key(f"{project}/{domain}/{name}", raw_prefix)

    @classmethod
    def of_key(cls, execution_key: str, raw_prefix: str = "") -> Uris:
        """`execution_key`: `project/domain/name`, as artifacts and lineage know an execution."""
        root = settings.CAUSEWAY_STORE_URL
        return cls(f"{root}/metadata/{execution_key}", f"{raw_prefix.rstrip('/') or root + '/raw'}/{execution_key}")

    def node(self, key: str) -> str:
        """Folder of a node; of the execution itself if the key is empty."""
        return f"{self.metadata}/{key}" if key else self.metadata

    def inputs(self, key: str) -> str:
        return f"{self.node(key)}/inputs.pb"

    def outputs(self, key: str) -> str:
        return f"{self.node(key)}/{OUTPUTS}"

    def task_file(self, key: str) -> str:
        """The template of the node's task, for a command that asks for it."""
        return f"{self.node(key)}/task.pb"

    def attempt(self, key: str, attempt: int, index: int = -1) -> str:
        prefix = f"{self.node(key)}/{attempt}"
        return prefix if index < 0 else f"{prefix}/{index}"

    def attempt_outputs(self, key: str, attempt: int, index: int = -1) -> str:
        """Where an attempt leaves its outputs unless it says otherwise."""
        return f"{self.attempt(key, attempt, index)}/{OUTPUTS}"

    def dynamic(self, key: str, attempt: int) -> str:
        """The compiled workflow that a dynamic task returned."""
        return f"{self.attempt(key, attempt)}/dynamic.pb"

    def raw_output(self, key: str, attempt: int, index: int = -1) -> str:
        prefix = f"{self.raw}/{key}/{attempt}"
        return prefix if index < 0 else f"{prefix}/{index}"

    def checkpoint(self, key: str, attempt: int, index: int = -1) -> str:
        """Where flytekit's checkpoints of an attempt lie; the next attempt reads them."""
        return f"{self.raw_output(key, attempt, index)}/_flytecheckpoints"

    def item_inputs(self, key: str, index: int) -> str:
        """Of an item of a map whose task reads no lists."""
        return f"{self.node(key)}/items/{index}/inputs.pb"

    def block_inputs(self, key: str, first: int, last: int, digest: str = "") -> str:
        """The lists of the items from `first` to `last`, which share a file; `digest`: of the map's inputs.

        A turn that was rolled back may have left the lists of other inputs.
        """
        return f"{self.node(key)}/items/{first}-{last}{digest and f'-{digest}'}/inputs.pb"

    def item_outputs(self, key: str, index: int) -> str:
        """Of an item of a map that publishes: its outputs, carrying their versions' ids."""
        return f"{self.node(key)}/items/{index}/{OUTPUTS}"

    def reused_items(self, key: str) -> str:
        """Where the outputs of those items of a map lie that it did not have to run: JSON, item to URI."""
        return f"{self.node(key)}/items/reused.json"

    def published(self, node_id: str, attempt: int | None, output: str, version: str) -> tuple[str, str]:
        """Where the outputs lie that carry a version that the node published: a URI, and what URIs start with.

        One of them is empty. The item of a map is known by the name of its version
        (artifacts.actions.publish.Source.version_of); all items are meant where that was too long to be kept whole.
        """
        found = re.search(rf"\.{re.escape(node_id)}\.(\d+)\.{attempt}\.{re.escape(output)}$", version)
        if found is not None:
            return self.item_outputs(node_id, int(found[1])), ""
        if version.endswith(f".{node_id}.{attempt}.{output}"):
            return self.outputs(node_id), ""
        return "", f"{self.node(node_id)}/"


def execution_of(uri: str) -> str:
    """The key (`project/domain/name`) of the execution whose metadata lie there; empty if it is not of one."""
    root = f"{settings.CAUSEWAY_STORE_URL}/metadata/"
    parts = uri.removeprefix(root).split("/") if uri.startswith(root) else []
    return "/".join(parts[:3]) if len(parts) > 3 else ""


def place_in(uri: str) -> tuple[str, str, str]:
    """Project, domain and name of the execution whose metadata lie there, in whatever store; empty if it is of none."""
    found = _EXECUTION.search(uri)
    return (found[1], found[2], found[3]) if found is not None else ("", "", "")


def raw_folder_of(output_prefix: str, raw_output_prefix: str) -> str:
    """The folder that all attempts of an execution offload into, by the prefixes of one of them; else its own."""
    key = execution_of(f"{output_prefix}/")
    before, found, _ = raw_output_prefix.rpartition(f"/{key}/") if key else ("", "", "")
    return f"{before}/{key}" if found else raw_output_prefix


def log_of(output_prefix: str, index: int, *, otherwise: str) -> str:
    """The log of an attempt, by where its outputs lie; by the name `otherwise` if that is nowhere in the store.

    Outputs in `metadata/p/d/e/n0/0/3`, the log in `logs/p/d/e/n0.0-3.log`: an execution's logs share a folder, since
    making one costs an executor more than all else that it does to a file.
    """
    root = settings.CAUSEWAY_STORE_URL
    folder = f"{root}/metadata/"
    if not output_prefix.startswith(folder):
        return f"{root}/logs/{otherwise}{f'-{index}' if index >= 0 else ''}.log"
    place = output_prefix.removeprefix(folder)
    if index >= 0:
        place = place.removesuffix(f"/{index}")
    node, _, attempt = place.rpartition("/")
    place = f"{node}.{attempt}{f'-{index}' if index >= 0 else ''}"
    return f"{root}/logs/{place}.log"


def log_of_replica(log_uri: str, name: str) -> str:
    """The log of a replica of a job, beside the attempt's own, which is that of its main one."""
    return f"{log_uri.removesuffix('.log')}.{name}.log"
