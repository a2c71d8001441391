"""Objects in an S3 bucket. Endpoint, region and keys come from the usual AWS_* variables."""

from __future__ import annotations

import io
import os
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from functools import cached_property
from importlib import import_module
from typing import Any, BinaryIO, cast
from urllib.parse import quote, urlsplit

from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from artifacts.exceptions import InvalidArgument, NotFound
from artifacts.store.base import ObjectStore, StoredObject
from artifacts.store.s3_small import SMALL, SmallObjects
from artifacts.store.signing import md5_header

UNCHECKED = ".unchecked"  # folder of the marks of objects being put together
PAST_THE_END = frozenset({"416", "InvalidRange", "RequestedRangeNotSatisfiable"})
MISSING = frozenset({"404", "NoSuchKey", "NoSuchUpload", "NotFound"})


class S3Store(ObjectStore):
    def __init__(self, root: str) -> None:
        super().__init__(root)
        parts = urlsplit(root)
        self.bucket = parts.netloc
        self.folder = parts.path.strip("/")
        self._small = SmallObjects(self.bucket)

    @cached_property
    def client(self) -> Any:
        """boto3's, imported where it is needed."""
        return import_module("artifacts.store.boto").client(self.bucket)

    def name(self, uri: str) -> str:
        """The object's key in the bucket."""
        return "/".join(part for part in (self.folder, self.key(uri)) if part)

    def _name_of_folder(self, prefix: str) -> str:
        return "/".join(part for part in (self.folder, self.key(prefix, prefix=True)) if part)

    def _target(self, uri: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.name(uri)}

    def put(self, uri: str, data: bytes) -> None:
        if not self._small.put(self.name(uri), data):
            self.client.put_object(**self._target(uri), Body=data)

    def get(self, uri: str) -> bytes:
        data = self._small.get(self.name(uri))
        return super().get(uri) if data is None else data

    def put_stream(self, uri: str, stream: BinaryIO) -> None:
        self.client.upload_fileobj(stream, self.bucket, self.name(uri))

    def put_file(self, uri: str, path: str) -> None:
        if os.stat(path).st_size > SMALL:
            super().put_file(uri, path)
            return
        with open(path, "rb") as stream:
            self.put(uri, stream.read())

    def open(self, uri: str) -> BinaryIO:
        try:
            return cast(BinaryIO, self.client.get_object(**self._target(uri))["Body"])
        except ClientError as error:
            raise _translated(error, uri) from error

    def open_at(self, uri: str, start: int) -> BinaryIO:
        if not start:
            return self.open(uri)
        try:
            answer = self.client.get_object(**self._target(uri), Range=f"bytes={start}-")
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in PAST_THE_END:
                return io.BytesIO()
            raise _translated(error, uri) from error
        return cast(BinaryIO, answer["Body"])

    def exists(self, uri: str) -> bool:
        try:
            self.size(uri)
        except NotFound:
            return False
        return True

    def among(self, prefix: str, names: Collection[str]) -> set[str]:
        """As each one's `exists`, asked once where the folder is a small one."""
        found = self._small.names(self._name_of_folder(prefix))
        if found is not None:
            return found & set(names)
        folder = f"{self._name_of_folder(prefix)}/"
        try:
            page = self.client.list_objects_v2(Bucket=self.bucket, Prefix=folder, Delimiter="/")
        except ClientError as error:
            raise _translated(error, prefix) from error
        if page.get("IsTruncated"):
            return super().among(prefix, names)
        return {entry["Key"].removeprefix(folder) for entry in page.get("Contents", ())} & set(names)

    def size(self, uri: str) -> int:
        size = self._small.size(self.name(uri))
        if size is not None:
            if size < 0:
                raise NotFound(f"there is no object {uri}")
            return size
        try:
            return int(self.client.head_object(**self._target(uri))["ContentLength"])
        except ClientError as error:
            raise _translated(error, uri) from error

    def list(self, prefix: str) -> Iterator[StoredObject]:
        folder = self._name_of_folder(prefix)
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

    def begin_parts(self, uri: str) -> str:
        begun = [each for each in self._uploads(self.name(uri)) if each["Key"] == self.name(uri)]
        if begun:
            return str(min(begun, key=lambda each: each["Initiated"])["UploadId"])
        return str(self.client.create_multipart_upload(**self._target(uri))["UploadId"])

    def signed_part(self, uri: str, upload: str, number: int, *, size: int, expires: timedelta) -> str:
        params = {**self._target(uri), "UploadId": upload, "PartNumber": number, "ContentLength": size}
        return str(
            self.client.generate_presigned_url("upload_part", Params=params, ExpiresIn=int(expires.total_seconds()))
        )

    def parts(self, uri: str, upload: str) -> dict[int, int]:
        return {part["PartNumber"]: part["Size"] for part in self._parts(uri, upload)}

    def _parts(self, uri: str, upload: str) -> Iterator[dict[str, Any]]:
        try:
            for page in self.client.get_paginator("list_parts").paginate(**self._target(uri), UploadId=upload):
                yield from page.get("Parts", ())
        except ClientError as error:
            raise _translated(error, uri) from error

    def finish_parts(self, uri: str, upload: str, *, sha256: str) -> None:
        parts = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in self._parts(uri, upload)]
        self.client.put_object(**self._mark(uri), Body=b"")  # S3 shows the object before anybody can have read it
        if not parts:  # S3 has no upload of no parts
            self.abort_parts(uri, upload)
            self.put(uri, b"")
        else:
            self.client.complete_multipart_upload(
                **self._target(uri), UploadId=upload, MultipartUpload={"Parts": sorted(parts, key=_number)}
            )
        self.check(uri, sha256=sha256)

    def check(self, uri: str, *, sha256: str) -> None:
        try:
            super().check(uri, sha256=sha256)
        except InvalidArgument:
            self.client.delete_object(**self._mark(uri))
            raise
        self.client.delete_object(**self._mark(uri))

    def is_unchecked(self, uri: str) -> bool:
        try:
            self.client.head_object(**self._mark(uri))
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in MISSING:
                return False
            raise
        return True

    def _mark(self, uri: str) -> dict[str, str]:
        """An object that is there while another is put together and checked."""
        return {
            "Bucket": self.bucket,
            "Key": "/".join(part for part in (self.folder, UNCHECKED, self.key(uri)) if part),
        }

    def abort_parts(self, uri: str, upload: str) -> None:
        try:
            self.client.abort_multipart_upload(**self._target(uri), UploadId=upload)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in MISSING:
                raise

    def drop_abandoned_parts(self, before: datetime) -> int:
        old = [each for each in self._uploads(f"{self.folder}/" if self.folder else "") if each["Initiated"] < before]
        for each in old:
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=each["Key"], UploadId=each["UploadId"])
        return len(old)

    def _uploads(self, prefix: str) -> Iterator[dict[str, Any]]:
        pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=prefix)
        for page in pages:
            yield from page.get("Uploads", ())


def _number(part: dict[str, Any]) -> int:
    return int(part["PartNumber"])


def _translated(error: ClientError, uri: str) -> Exception:
    """NotFound for a missing object, the error itself for everything else."""
    if error.response.get("Error", {}).get("Code") in MISSING:
        return NotFound(f"there is no object {uri}")
    return cast(Exception, error)
