"""AttemptSpec as JSON, for TaskExecution.command, and rows of every version that was ever written.

Version 1 keeps the keys that rows had before there was a version, so that an executor of an older release can run what
is queued while the control plane is upgraded; what is empty is left out. A newer version must be able to read all
before it; what is merely added needs no new one, because unknown keys are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from scheduler.attempts.spec import (
    Accelerator,
    Addresses,
    AttemptSpec,
    DataConfig,
    Identity,
    Job,
    Needs,
    Pod,
    SharedMemory,
)
from scheduler.models import TaskExecution
from scheduler.secrets.names import Request
from scheduler.uris import place_in

VERSION = 1
_ADDRESSES = {  # key: field
    "inputs_uri": "inputs",
    "output_prefix": "output_prefix",
    "raw_output_prefix": "raw_output_prefix",
    "checkpoint_uri": "checkpoint",
    "prev_checkpoint_uri": "prev_checkpoint",
    "log_uri": "log",
}
_OPTIONAL_ADDRESSES = {"template_uri": "template"}  # left out where empty
_PLAIN = ("task_type", "image", "architecture", "service_account", "iam_role", "interruptible", "entry")
_TEXTS = ("config", "labels", "annotations")


class UnknownVersion(ValueError):
    """The spec was written by a newer release than this one."""


def to_json(spec: AttemptSpec) -> dict[str, Any]:
    identity = spec.identity
    given = {"version": VERSION, "identity": {name: getattr(identity, name) for name in Identity.__slots__}}
    given |= {"args": list(spec.argv), "env": dict(spec.env), "reuse": spec.reuse}
    given |= {key: getattr(spec.addresses, name) for key, name in _ADDRESSES.items()}
    given |= {key: uri for key, name in _OPTIONAL_ADDRESSES.items() if (uri := getattr(spec.addresses, name))}
    given["timeout_seconds"] = spec.timeout_seconds
    given |= {name: value for name in _PLAIN if (value := getattr(spec, name))}
    given |= {name: dict(value) for name in _TEXTS if (value := getattr(spec, name))}
    if spec.secrets:
        given["secrets"] = [one.as_json() for one in spec.secrets]
    if spec.echo is not None:
        given["echo"] = dict(spec.echo)
    if spec.job is not None:
        needs_of_roles = {role: needs_json(one) for role, one in spec.job.needs.items()}
        given["job"] = {"custom": dict(spec.job.custom), "needs": needs_of_roles}
    if spec.data_config is not None:
        given["data_config"] = asdict(spec.data_config)
    for name, pod in (("pod", spec.pod), ("overlay", spec.overlay)):
        if pod is not None:
            given[name] = {part: getattr(pod, part) for part in Pod.__slots__}
    if needs := needs_json(spec.needs):
        given["needs"] = needs
    return given


def of_row(row: TaskExecution) -> AttemptSpec:
    """What the attempt's row says. UnknownVersion, or ValueError, TypeError and KeyError for what nobody wrote."""
    return from_json(row.command, name=row.name, attempt=row.attempt, index=row.index)


def from_json(given: Mapping[str, Any], *, name: str, attempt: int = 0, index: int = -1) -> AttemptSpec:
    """`name` and the rest: of the attempt, for rows without a version, which do not say."""
    version = int(given.get("version") or 0)
    if version > VERSION:
        raise UnknownVersion(f"the attempt {name} was queued by a newer release: {version} is above {VERSION}")
    addresses = {**_ADDRESSES, **_OPTIONAL_ADDRESSES}
    data, pod, overlay = (given.get(name) for name in ("data_config", "pod", "overlay"))
    return AttemptSpec(
        identity=_made(Identity, given["identity"]) if version else _former(given, name, attempt, index),
        argv=tuple(given.get("args") or ()),
        env=given.get("env") or {},
        addresses=Addresses(**{field: str(given.get(key) or "") for key, field in addresses.items()}),
        timeout_seconds=given.get("timeout_seconds"),
        reuse=bool(given.get("reuse")),
        secrets=tuple(Request.of_json(one) for one in given.get("secrets") or ()),
        job=_job(given["job"]) if given.get("job") is not None else None,
        echo=given.get("echo"),
        data_config=_made(DataConfig, data) if data else None,
        pod=_made(Pod, pod) if pod else None,
        overlay=_made(Pod, overlay) if overlay else None,
        needs=_needs(given.get("needs") or {}),
        **{key: given[key] for key in (*_PLAIN, *_TEXTS) if key in given},
    )


def _former(given: Mapping[str, Any], name: str, attempt: int, index: int) -> Identity:
    """Of a row without a version: its place is where its outputs lie, which the control plane says."""
    env = given.get("env") or {}
    prefix = str(given.get("output_prefix") or "")
    project, domain, execution = place_in(prefix)
    return Identity(
        name=name,
        project=project,
        domain=domain,
        execution=execution,
        node=prefix.removesuffix(f"/{index}").removesuffix(f"/{attempt}").rpartition("/")[2] if project else "",
        attempt=attempt,
        index=index,
        task=str(env.get("FLYTE_INTERNAL_TASK_NAME", "")),
        task_version=str(env.get("FLYTE_INTERNAL_TASK_VERSION", "")),
    )


def needs_json(needs: Needs) -> dict[str, Any]:
    told: dict[str, Any] = {name: dict(value) for name in ("requests", "limits") if (value := getattr(needs, name))}
    if needs.defaults:
        told["defaults"] = sorted(needs.defaults)
    if needs.accelerator is not None:
        told["accelerator"] = asdict(needs.accelerator)
    if needs.shared_memory is not None:
        told["shared_memory"] = asdict(needs.shared_memory)
    return told


def _needs(given: Mapping[str, Any]) -> Needs:
    accelerator, memory = given.get("accelerator"), given.get("shared_memory")
    return Needs(
        requests=given.get("requests") or {},
        limits=given.get("limits") or {},
        defaults=frozenset(given.get("defaults") or ()),
        accelerator=_made(Accelerator, accelerator) if accelerator is not None else None,
        shared_memory=_made(SharedMemory, memory) if memory is not None else None,
    )


def _job(given: Mapping[str, Any]) -> Job:
    needs = {role: _needs(told) for role, told in (given.get("needs") or {}).items()}
    return Job(given.get("custom") or {}, needs)


def _made(kind: type[Any], given: Mapping[str, Any]) -> Any:
    """With what this version knows of."""
    return kind(**{name: given[name] for name in kind.__slots__ if name in given})
