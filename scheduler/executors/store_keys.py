"""What tasks reach an S3 store with, in the variables that flytekit reads."""

from __future__ import annotations

import os
from collections.abc import Mapping


def store_keys(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Keys of their own, where the operator gave tasks some, or Causeway's; empty if the store is none of S3."""
    keys = {
        "FLYTE_AWS_ENDPOINT": env.get("AWS_ENDPOINT_URL"),
        "FLYTE_AWS_ACCESS_KEY_ID": env.get("CAUSEWAY_TASK_S3_ACCESS_KEY_ID") or env.get("AWS_ACCESS_KEY_ID"),
        "FLYTE_AWS_SECRET_ACCESS_KEY": env.get("CAUSEWAY_TASK_S3_SECRET_ACCESS_KEY")
        or env.get("AWS_SECRET_ACCESS_KEY"),
    }
    if not env.get("CAUSEWAY_TASK_S3_ACCESS_KEY_ID"):
        keys["AWS_SESSION_TOKEN"] = env.get("AWS_SESSION_TOKEN")  # a temporary key is none without it
    return {name: value for name, value in keys.items() if value}
