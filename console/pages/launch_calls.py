"""The launch that a form shows, as somebody would write it: on the command line, over REST, in Python."""

from __future__ import annotations

import json
import pprint
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from artifacts.addresses import address_of
from artifacts.exceptions import CausewayError
from artifacts.models import ArtifactVersion
from console.pages.launch_settings import Settings, pairs_of, parallelism_of
from scheduler.models import LaunchPlan, Task


@dataclass(frozen=True)
class Call:
    """`texts`: what was typed, by input; `versions`: what was chosen instead."""

    entity: LaunchPlan | Task
    texts: Mapping[str, str]
    versions: Mapping[str, ArtifactVersion]
    settings: Settings

    @property
    def cli(self) -> str:
        """Empty for what the command line does not launch: tasks, and launches with settings."""
        if isinstance(self.entity, Task) or self.settings.is_set:
            return ""
        words = ["causeway", "-p", self.entity.project, "-d", self.entity.domain, "launch", self.entity.name]
        words += ["--version", self.entity.version]
        for name, text in self.texts.items():
            words += ["-i", f"{name}={text}"]
        for name, version in self.versions.items():
            words += ["-a", f"{name}={address_of(version)}"]
        return " ".join(shlex.quote(word) for word in words)

    @property
    def body(self) -> dict[str, Any]:
        """What POST /api/v1/executions takes."""
        kind = "task" if isinstance(self.entity, Task) else "launch_plan"
        found: dict[str, Any] = {
            "project": self.entity.project,
            "domain": self.entity.domain,
            kind: {"name": self.entity.name, "version": self.entity.version},
        }
        if self.texts:
            found["texts"] = dict(self.texts)
        if self.versions:
            found["artifacts"] = {name: address_of(version) for name, version in self.versions.items()}
        return found | _settings(self.settings)

    @property
    def python(self) -> str:
        body = pprint.pformat(self.body, indent=1, width=100, sort_dicts=False)
        return (
            "from causeway.client import Client\n\n"
            f"client = Client(project={self.entity.project!r}, domain={self.entity.domain!r})\n"
            f'execution = client.connection.call("POST", "executions", json={body})\n'
            'print(execution["name"])'
        )

    def rest(self, base: str) -> str:
        """`base`: the address of this installation."""
        body = shlex.quote(json.dumps(self.body, indent=2, ensure_ascii=False))
        headers = """-H "Authorization: Bearer $CAUSEWAY_TOKEN" -H 'Content-Type: application/json'"""
        return f"curl -X POST {shlex.quote(f'{base}/api/v1/executions')} \\\n  {headers} \\\n  -d {body}"


def _settings(settings: Settings) -> dict[str, Any]:
    """Those that can be read."""
    found: dict[str, Any] = {"name": settings.name} if settings.name else {}
    try:
        given = {
            "labels": pairs_of(settings.labels, "labels"),
            "env": pairs_of(settings.env, "environment"),
            "max_parallelism": parallelism_of(settings.max_parallelism),
            "overwrite_cache": settings.overwrite_cache,
        }
    except CausewayError:
        return found
    found |= {name: value for name, value in given.items() if value}
    if settings.interruptible:
        found["interruptible"] = settings.interruptible == "yes"
    return found
