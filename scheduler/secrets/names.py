"""What a task asks for, as flytekit's Secret says it, and where flytekit looks for it inside the task.

The places are those of flytekit's SecretsManager: the variable `_FSEC_<GROUP>_<VERSION>_<KEY>` in upper case, or the
file `<group>/<version>/<key>` in lower case below FLYTE_SECRETS_DEFAULT_DIR; parts that are not given are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from flyteidl.core import security_pb2, tasks_pb2

from artifacts.exceptions import InvalidArgument

ENV_PREFIX = "_FSEC_"
ANY, ENV_VAR, FILE = "ANY", "ENV_VAR", "FILE"
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}", re.ASCII)
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*", re.ASCII)  # flytekit's rule for Secret(env_var=...)


@dataclass(frozen=True)
class Name:
    """At least one of group and key is given."""

    group: str = ""
    key: str = ""
    version: str = ""

    def __str__(self) -> str:
        group = f"{self.group} (version {self.version})" if self.version else self.group
        if not self.key:
            return f"group {group}"
        return f"{self.key} of group {group}" if group else self.key

    @property
    def parts(self) -> tuple[str, ...]:
        """In flytekit's order."""
        return tuple(part for part in (self.group, self.version, self.key) if part)

    @property
    def variable(self) -> str:
        return ENV_PREFIX + "_".join(part.upper() for part in self.parts)

    @property
    def path(self) -> str:
        return "/".join(part.lower() for part in self.parts)

    def without_version(self) -> Name:
        """As programs ask for it that name the version in the request only: in Kubernetes, Flyte ignores it."""
        return Name(self.group, self.key)


@dataclass(frozen=True)
class Request:
    name: Name
    mount: str = ANY
    env_var: str = ""

    def as_json(self) -> dict[str, str]:
        """For TaskExecution.command."""
        return {**asdict(self.name), "mount": self.mount, "env_var": self.env_var}

    @classmethod
    def of_json(cls, given: Mapping[str, str]) -> Request:
        name = Name(given["group"], given["key"], given["version"])
        return cls(check_name(name), given["mount"], given["env_var"])


def check_name(name: Name) -> Name:
    """InvalidArgument for what cannot be a part of a variable's name and of a path."""
    if not (name.group or name.key):
        raise InvalidArgument("a secret needs a group, a key, or both")
    for what, part in (("group", name.group), ("key", name.key), ("version", name.version)):
        if part and not _PART.fullmatch(part):
            raise InvalidArgument(
                f"{part[:100]!r} cannot be the {what} of a secret: letters, digits, '.', '_' and '-', "
                "beginning with a letter or digit, at most 253 characters"
            )
    return name


def requests_of(task: tasks_pb2.TaskTemplate) -> list[Request]:
    """What the task's template asks for. InvalidArgument for names that nothing can have."""
    return [_request(one) for one in task.security_context.secrets]


def _request(asked: security_pb2.Secret) -> Request:
    name = check_name(Name(asked.group, asked.key, asked.group_version))
    if asked.env_var and not _VARIABLE.fullmatch(asked.env_var):
        raise InvalidArgument(f"{asked.env_var[:100]!r} is no name of an environment variable for a secret")
    mounts = security_pb2.Secret.MountType
    known = asked.mount_requirement in mounts.values()
    return Request(name, mounts.Name(asked.mount_requirement) if known else ANY, asked.env_var)
