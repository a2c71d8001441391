"""Small objects of a bucket through obstore (object_store, in Rust): a sixth of boto3's CPU, a third of its memory.

It is asked where the environment says both the endpoint and the keys. Everything else is boto3's: profiles, roles,
regions, redirects, certificates of one's own. So is what is not answered as expected, which is nobody's error here but
asked again there, and whatever is asked in the minute after: a store that hangs is not waited for twice each time.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store as Bucket

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

SMALL = 1 << 20  # bytes: a larger one is streamed
PAGE = 1000  # objects in one answer to a list
CONNECTING = 3.0  # seconds to connect
PATIENCE = 10.0  # seconds for the whole of a small one
PAUSE = 60.0  # seconds
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
# What says otherwise than those keys, or which certificates are believed.
_OTHERWISE = ("AWS_S3_ACCESS_KEY_ID", "AWS_S3_SECRET_ACCESS_KEY", "AWS_S3_SESSION_PROFILE")
_TRUSTED = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")


def endpoint() -> str | None:
    """None: Amazon's own."""
    return os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("FLYTE_AWS_ENDPOINT")


def region() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def addressing(env: Mapping[str, str]) -> str:
    """How a bucket is named: `path`, or a word of botocore's for others."""
    return env.get("CAUSEWAY_S3_ADDRESSING", "path")


def is_told(env: Mapping[str, str], at: str | None) -> bool:
    """Whether all that has to be known of the store is said in the environment, and is nothing unusual."""
    if not at or not all(env.get(name) for name in _KEYS) or any(env.get(name) for name in _OTHERWISE):
        return False
    place = urlsplit(at)
    is_proxied = place.scheme in getproxies() and not proxy_bypass(place.hostname or "")
    has_own_trust = place.scheme == "https" and any(env.get(name) for name in _TRUSTED)
    return addressing(env) == "path" and not is_proxied and not has_own_trust


_first: list[int] = []  # the process that asked first: its threads answer, and no fork of it has them


class SmallObjects:
    """Of one bucket; any number of threads may use it. Each answer may be None: boto3 has to be asked."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        self._later = 0.0  # monotonic

    def put(self, key: str, data: bytes) -> bool | None:
        if len(data) > SMALL:
            return None
        return self._ask(lambda bucket: bool(obstore.put(bucket, key, data, use_multipart=False)))

    def get(self, key: str) -> bytes | None:
        def read(bucket: Bucket) -> bytes | None:
            found = obstore.get(bucket, key)
            return found.bytes().to_bytes() if found.meta["size"] <= SMALL else None

        return self._ask(read)

    def size(self, key: str) -> int | None:
        """Negative where there is no such object, or no such bucket: a HEAD does not tell them apart."""

        def read(bucket: Bucket) -> int:
            try:
                return obstore.head(bucket, key)["size"]
            except FileNotFoundError:
                return -1

        return self._ask(read)

    def names(self, folder: str) -> set[str] | None:
        """Of the objects in a folder and its folders, relative to it; None, too, where they are many."""

        def read(bucket: Bucket) -> set[str] | None:
            page = next(iter(obstore.list(bucket, folder, chunk_size=PAGE)), [])
            return {one["path"].removeprefix(f"{folder}/") for one in page} if len(page) < PAGE else None

        return self._ask(read)

    def _ask(self, question: Callable[[Bucket], Answer]) -> Answer | None:
        if self._bucket is None or time.monotonic() < self._later or not _has_threads():
            return None
        try:
            return question(self._bucket)
        except FileNotFoundError:  # the object, or the bucket: boto3 says which
            return None
        except (BaseError, ValueError) as error:
            logger.warning("bucket %s: through boto3 for a while: %s", self.bucket, str(error).partition("\n")[0])
            self._later = time.monotonic() + PAUSE
            return None

    @cached_property
    def _bucket(self) -> Bucket | None:
        at = endpoint()
        if at is None or not is_told(os.environ, at):
            return None
        options: ClientConfig = {
            "allow_http": urlsplit(at).scheme == "http",
            "connect_timeout": timedelta(seconds=CONNECTING),
            "timeout": timedelta(seconds=PATIENCE),
        }
        key_id, secret = (os.environ[name] for name in _KEYS)
        config: S3Config = {
            "endpoint": at,
            "region": region(),
            "access_key_id": key_id,
            "secret_access_key": secret,
            "virtual_hosted_style_request": False,
        }
        if token := os.environ.get("AWS_SESSION_TOKEN") or os.environ.get("AWS_SECURITY_TOKEN"):
            config["session_token"] = token
        return Bucket(self.bucket, config=config, client_options=options, retry_config={"max_retries": 0})


def _has_threads() -> bool:
    if not _first:
        _first.append(os.getpid())
    return _first[0] == os.getpid()
