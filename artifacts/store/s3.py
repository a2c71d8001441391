"""Objects in an S3 bucket. Endpoint, region and keys come from the usual AWS_* variables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from functools import cached_property
from typing import Any, BinaryIO, cast
from urllib.parse import quote, urlsplit

from botocore.exceptions import ClientError  # type: ignore[import-untyped]
from storages.backends.s3 import S3Storage  # type: ignore[import-untyped]

from artifacts.exceptions import NotFound
from artifacts.store.base import ObjectStore, StoredObject
from artifacts.store.signing import md5_header

MISSING = frozenset({"404", "NoSuchKey", "NotFound"})


class S3Store(ObjectStore):
    def __init__(self, root: str) -> None:
        super().__init__(root)
        parts = urlsplit(root)
        self.bucket = parts.netloc
        self.folder = parts.path.strip("/")
        self._storage = S3Storage(
            bucket_name=self.bucket,
            endpoint_url=os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("FLYTE_AWS_ENDPOINT"),
            region_name=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
            signature_version="s3v4",
            addressing_style=os.environ.get("CAUSEWAY_S3_ADDRESSING", "path"),
        )

    @cached_property
    def client(self) -> Any:
        """boto3's low-level client, which is thread-safe; S3Storage keeps a connection per thread."""
        return self._storage.connection.meta.client

    def name(self, uri: str) -> str:
        """The object's key in the bucket."""
        return "/".join(part for part in (self.folder, self.key(uri)) if part)

    def _target(self, uri: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.name(uri)}

    def put(self, uri: str, data: bytes) -> None:
        self.client.put_object(**self._target(uri), Body=data)

    def put_file(self, uri: str, path: str) -> None:
        self.client.upload_file(path, self.bucket, self.name(uri))

    def open(self, uri: str) -> BinaryIO:
        try:
            return cast(BinaryIO, self.client.get_object(**self._target(uri))["Body"])
        except ClientError as error:
            raise _translated(error, uri) from error

    def exists(self, uri: str) -> bool:
        try:
            self.size(uri)
        except NotFound:
            return False
        return True

    def size(self, uri: str) -> int:
        try:
            return int(self.client.head_object(**self._target(uri))["ContentLength"])
        except ClientError as error:
            raise _translated(error, uri) from error

    def list(self, prefix: str) -> Iterator[StoredObject]:
        folder = "/".join(part for part in (self.folder, self.key(prefix, prefix=True)) if part)
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"{folder}/" if folder else ""
        )
        for page in pages:
            for entry in page.get("Contents", ()):
                yield StoredObject(f"s3://{self.bucket}/{entry['Key']}", entry["Size"], entry["LastModified"])

    def delete(self, uri: str) -> None:
        self.client.delete_object(**self._target(uri))

    def signed_get(self, uri: str, *, expires: timedelta, filename: str | None = None) -> str:
        params: dict[str, str] = self._target(uri)
        if filename:
            params["ResponseContentDisposition"] = f"attachment; filename*=UTF-8''{quote(filename)}"
        return str(
            self.client.generate_presigned_url("get_object", Params=params, ExpiresIn=int(expires.total_seconds()))
        )

    def signed_put(
        self, uri: str, *, expires: timedelta, content_md5: bytes | None = None, max_bytes: int | None = None
    ) -> tuple[str, dict[str, str]]:
        headers = {"Content-MD5": md5_header(content_md5)} if content_md5 else {}
        params = {**self._target(uri), **({"ContentMD5": headers["Content-MD5"]} if headers else {})}
        url = self.client.generate_presigned_url("put_object", Params=params, ExpiresIn=int(expires.total_seconds()))
        return str(url), headers


def _translated(error: ClientError, uri: str) -> Exception:
    """NotFound for a missing object, the error itself for everything else."""
    if error.response.get("Error", {}).get("Code") in MISSING:
        return NotFound(f"there is no object {uri}")
    return cast(Exception, error)
