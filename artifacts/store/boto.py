"""boto3's client of a bucket. It takes 0.4 s and 26 MB to import: a process that only reads and writes small objects
is spared it.
"""

from __future__ import annotations

import os
from typing import Any

from botocore.config import Config  # type: ignore[import-untyped]
from storages.backends.s3 import S3Storage  # type: ignore[import-untyped]

from artifacts.store.s3_small import CONNECTING, addressing, endpoint, region

CONNECTIONS = 32  # kept open
READING, ATTEMPTS = 30.0, 3  # seconds to wait for bytes (joining parts takes a while)


def client(bucket: str) -> Any:
    """The low-level one, which is thread-safe; S3Storage keeps a connection per thread."""
    storage = S3Storage(bucket_name=bucket, endpoint_url=endpoint(), region_name=region(), client_config=_config())
    return storage.connection.meta.client


def _config() -> Config:
    """A store that hangs is down: five times a minute, as boto waits by itself, would hold up who evaluates."""
    return Config(
        signature_version="s3v4",
        s3={"addressing_style": addressing(os.environ)},
        connect_timeout=CONNECTING,
        read_timeout=READING,
        max_pool_connections=CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
