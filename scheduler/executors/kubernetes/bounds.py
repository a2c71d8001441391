"""What a cluster would refuse, or accept and then fail with in words that nobody understands: said beforehand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from artifacts.exceptions import InvalidArgument
from scheduler.executors.kubernetes import names

LONGEST_WORD = 131_072  # bytes of one argument or one NAME=value, from which on Linux starts no process
LARGEST_BODY = 1_400_000  # bytes; etcd takes no more than 1.5 MiB, and answers 500 to it
MOST_ANNOTATIONS = 262_144  # bytes of all annotations, their names counted


def check(pod: Mapping[str, Any], task: str) -> bytes:
    """The pod as it is sent. InvalidArgument, in one sentence, for what could never run."""
    for wrong in _wrong(pod):
        raise InvalidArgument(f"task {task}: {wrong}")
    return body(pod, task)


def body(made: Mapping[str, Any], task: str) -> bytes:
    """Any object as it is sent. InvalidArgument where it is larger than what a cluster keeps."""
    sent = json.dumps(made, separators=(",", ":")).encode()
    if len(sent) > LARGEST_BODY:
        raise InvalidArgument(
            f"task {task}: its {str(made.get('kind', 'pod')).lower()} has {len(sent):,} bytes, and a cluster keeps at "
            f"most {LARGEST_BODY:,}: long inputs in the command line or in variables are better read from files"
        )
    return sent


def _wrong(pod: Mapping[str, Any]) -> Iterator[str]:
    metadata, spec = pod["metadata"], pod["spec"]
    for name, value in (metadata.get("labels") or {}).items():
        yield from filter(None, [names.wrong_label(name, str(value))])
    for name in metadata.get("annotations") or {}:
        if wrong := names.wrong_key(name):
            yield f"the annotation {name[:80]!r} {wrong}"
    notes = metadata.get("annotations") or {}
    if (size := sum(len(name.encode()) + len(str(value).encode()) for name, value in notes.items())) > MOST_ANNOTATIONS:
        yield f"its annotations have {size:,} bytes, and a cluster keeps at most {MOST_ANNOTATIONS:,}"
    if not names.is_dns_label(metadata["namespace"]):
        yield (
            f"{metadata['namespace']!r} cannot be a namespace: small letters, digits and '-', at most 63; an "
            "administrator changes `namespace` in the cluster's settings"
        )
    for kind in ("serviceAccountName", "priorityClassName", "runtimeClassName"):
        if (told := spec.get(kind)) and not names.is_dns_name(told):
            yield f"{told!r} cannot be a {kind}: small letters, digits, '-' and '.'"
    for kind in ("initContainers", "containers"):
        for container in spec.get(kind) or ():
            yield from _wrong_container(container)


def _wrong_container(container: Mapping[str, Any]) -> Iterator[str]:
    name = str(container.get("name"))
    if not names.is_dns_label(name):
        yield f"{name[:80]!r} cannot be the name of a container: small letters, digits and '-', at most 63"
    for word in (*(container.get("command") or ()), *(container.get("args") or ())):
        if len(str(word).encode()) >= LONGEST_WORD:
            yield (
                f"an argument of its command has {len(str(word).encode()):,} bytes, and Linux takes at most "
                f"{LONGEST_WORD - 1:,}: pass such an input as a file"
            )
    for entry in container.get("env") or ():
        size = len(f"{entry.get('name')}={entry.get('value') or ''}".encode())
        if size >= LONGEST_WORD:
            yield f"the variable {str(entry.get('name'))[:80]!r} has {size:,} bytes, and Linux takes at most 131,071"
