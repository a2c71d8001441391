"""Whole objects to and from S3 with one signed request each, through boto3's own connections and keys.

boto3's client does the same for about three times the CPU: it looks up rules for endpoints, parses answers and calls
dozens of hooks. Whatever is not plain (an endpoint of AWS's own, an answer that is neither the object nor its absence)
is left to it, and so is telling what is wrong.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from botocore.auth import S3SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, HTTPClientError  # type: ignore[import-untyped]
from botocore.utils import percent_encode  # type: ignore[import-untyped]

from artifacts.store.signing import md5_header

OK, NOT_FOUND = 200, 404
MOST = 8 << 20  # bytes of an object that is written this way


class NotPlain(Exception):
    """The client is to do it."""


class Missing(Exception):
    """There is no such object."""


@dataclass(frozen=True)
class Plain:
    client: Any
    bucket: str
    endpoint: str  # that somebody named; empty: the client finds it out by itself

    def get(self, key: str) -> bytes:
        answer = self._ask("GET", key)
        if answer.headers.get("Content-Length") != str(len(answer.content)):  # cut off
            raise NotPlain
        return bytes(answer.content)

    def size(self, key: str) -> int:
        told = self._ask("HEAD", key).headers.get("Content-Length", "")
        if not told.isdigit():
            raise NotPlain
        return int(told)

    def put(self, key: str, data: bytes) -> None:
        if len(data) > MOST:
            raise NotPlain
        self._ask("PUT", key, data)

    def _ask(self, method: str, key: str, data: bytes | None = None) -> Any:
        if not self.endpoint.startswith(("http://", "https://")):
            raise NotPlain
        url = f"{self.endpoint.rstrip('/')}/{self.bucket}/{percent_encode(key, safe='/~')}"
        headers = {} if data is None else {"Content-MD5": md5_header(hashlib.md5(data, usedforsecurity=False).digest())}
        request = AWSRequest(method=method, url=url, data=data or b"", headers=headers)
        try:
            keys = self.client._request_signer._credentials.get_frozen_credentials()
            S3SigV4Auth(keys, "s3", self.client.meta.region_name).add_auth(request)
            answer = self.client._endpoint.http_session.send(request.prepare())
        except (AttributeError, BotoCoreError, HTTPClientError) as error:  # works otherwise inside; no answer; no keys
            raise NotPlain from error
        if answer.status_code == NOT_FOUND and (method == "HEAD" or b"<Code>NoSuchKey<" in answer.content):
            raise Missing
        if answer.status_code != OK:
            raise NotPlain
        return answer
