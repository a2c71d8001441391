"""How a launch is to run, beside its inputs: its name, labels, environment, cache, parallelism, who it runs as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flyteidl.admin import execution_pb2
from google.protobuf import wrappers_pb2

from artifacts.exceptions import InvalidArgument
from console.pages.typed_values import form_text

MOST_PARALLEL = 100_000


@dataclass(frozen=True)
class Settings:
    """As somebody typed them into the form: controls are called `set.<name>`."""

    name: str = ""
    labels: str = ""  # key=value, a line each
    env: str = ""
    interruptible: str = ""  # yes, no, or as the program says
    overwrite_cache: bool = False
    max_parallelism: str = ""
    service_account: str = ""

    @property
    def is_set(self) -> bool:
        texts = (self.name, self.labels, self.env, self.interruptible, self.max_parallelism, self.service_account)
        return self.overwrite_cache or any(texts)


def read_settings(data: Mapping[str, str]) -> Settings:
    names = ("name", "labels", "env", "interruptible", "max_parallelism", "service_account")
    texts = {name: form_text(data, f"set.{name}") for name in names}
    return Settings(**texts, overwrite_cache=bool(data.get("set.overwrite_cache")))


def pairs_of(text: str, what: str) -> dict[str, str]:
    """`key=value`, a line each. InvalidArgument names the line that is none."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if not line.strip():
            continue
        if not equals or not key.strip():
            raise InvalidArgument(f"{what}: '{line[:100]}' is no key=value")
        if key.strip() in found:
            raise InvalidArgument(f"{what}: {key.strip()} is there twice")
        found[key.strip()] = value.strip() if what == "labels" else value
    return found


def parallelism_of(text: str) -> int:
    """0: as the program says. InvalidArgument."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and int(text[:9]) <= MOST_PARALLEL):
        raise InvalidArgument(f"parallelism: '{text[:50]}' is no whole number up to {MOST_PARALLEL}")
    return int(text)


def apply(settings: Settings, spec: execution_pb2.ExecutionSpec) -> None:
    """Into the spec of a launch. InvalidArgument for what cannot be read; the launch itself checks the rest."""
    spec.labels.values.update(pairs_of(settings.labels, "labels"))
    for key, value in sorted(pairs_of(settings.env, "environment").items()):
        spec.envs.values.add(key=key, value=value)
    if settings.interruptible not in ("", "yes", "no"):
        raise InvalidArgument("interruptible is yes, no, or as the program says")
    if settings.interruptible:
        spec.interruptible.CopyFrom(wrappers_pb2.BoolValue(value=settings.interruptible == "yes"))
    spec.overwrite_cache = settings.overwrite_cache
    spec.max_parallelism = parallelism_of(settings.max_parallelism)
    if settings.service_account:
        spec.security_context.run_as.k8s_service_account = settings.service_account
