"""Who decides about approvals, declared on a launch plan."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flytekit.models.common import Annotations

PREFIX = "causeway.approval/"


def approvals(rules: Mapping[str, Mapping[str, Any]] | None = None, **more: Mapping[str, Any]) -> Annotations:
    """Annotations for a launch plan: who decides about which of its workflow's approvals, and how many of them.

    LaunchPlan.get_or_create(release, annotations=approvals(approve_model={"groups": ["board"], "quorum": 2}))

    :param rules: by what `approve` is called in the workflow: `people`, `groups`, `role`, `quorum`, `rejections`. Who
        decides by one has the role approver besides; a rule that an admin sets counts instead.
    """
    return Annotations({f"{PREFIX}{name}": json.dumps(rule) for name, rule in {**(rules or {}), **more}.items()})
