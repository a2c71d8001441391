"""The local store's signed URLs. The signature is the whole authority: no session, no CSRF token, no role."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Iterator
from typing import BinaryIO

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.utils.http import content_disposition_header, http_date
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from artifacts.exceptions import CausewayError, InvalidArgument, LengthRequired, NotFound, PayloadTooLarge
from artifacts.store import LocalStore, signing, store

CHUNK = 1 << 20
RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


@csrf_exempt
@require_http_methods(["GET", "HEAD", "PUT"])
def signed_object(request: HttpRequest, token: str) -> HttpResponseBase:
    try:
        local = store()
        if not isinstance(local, LocalStore):
            raise NotFound("objects are served by the S3 endpoint, not from here")
        method = "PUT" if request.method == "PUT" else "GET"
        grant = signing.verify(token, method)
        return _receive(request, local, grant) if method == "PUT" else _send(request, local, grant)
    except CausewayError as error:
        problem = {"type": "about:blank", "title": type(error).__name__, "status": error.http_status}
        return JsonResponse(
            {**problem, "detail": error.message}, status=error.http_status, content_type="application/problem+json"
        )


def _receive(request: HttpRequest, local: LocalStore, grant: signing.Grant) -> HttpResponse:
    if "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH"):
        raise LengthRequired("send the object with a Content-Length, not chunked; S3 wants that, too")
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit()):
        raise InvalidArgument(f"the Content-Length is no number: {length[:80]!r}")
    announced = int(length[:30])
    if announced > grant.max_bytes:
        raise PayloadTooLarge(f"{announced} bytes are more than the {grant.max_bytes} allowed here")
    wanted = {md5 for md5 in (grant.md5, request.headers.get("Content-MD5", "")) if md5}

    def fill(file: BinaryIO) -> None:
        digest, size = hashlib.md5(usedforsecurity=False), 0
        while chunk := request.read(CHUNK):
            size += len(chunk)
            if size > grant.max_bytes:
                raise PayloadTooLarge(f"more than the {grant.max_bytes} bytes allowed here")
            digest.update(chunk)
            file.write(chunk)
        if size < announced:
            raise InvalidArgument(f"the upload broke off after {size} of {announced} bytes")
        if wanted - {base64.b64encode(digest.digest()).decode()}:
            raise InvalidArgument("the content does not match its Content-MD5")

    uri = f"{local.root}/{grant.key}"
    if grant.part:
        if announced != grant.max_bytes:
            raise InvalidArgument(f"part {grant.part} has {grant.max_bytes} bytes, not {announced}")
        local.write_part(uri, grant.part, fill)
    else:
        local.write(uri, fill)
    return HttpResponse(status=200)


def _send(request: HttpRequest, local: LocalStore, grant: signing.Grant) -> HttpResponseBase:
    uri = f"{local.root}/{grant.key}"
    stream = local.open(uri)
    # Of the open file: somebody may put another in its place meanwhile.
    stat = os.fstat(stream.fileno())
    size, etag = stat.st_size, f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
    modified = http_date(stat.st_mtime)
    asked = request.headers.get("Range", "")
    if request.headers.get("If-Range", etag) not in (etag, modified):
        asked = ""  # a part of another object would not fit what the client has
    span = _range(asked, size)
    filename = grant.filename or grant.key.rpartition("/")[2]
    response: HttpResponseBase
    if span is None:
        response = FileResponse(stream, as_attachment=True, filename=filename)
    elif span[0] >= span[1]:
        stream.close()
        response = HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    else:
        start, stop = span
        response = StreamingHttpResponse(_slice(stream, start, stop), status=206)
        response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        response.headers["Content-Length"] = str(stop - start)
        response.headers["Content-Disposition"] = content_disposition_header(True, filename) or "attachment"
    response.headers["ETag"] = etag
    response.headers["Last-Modified"] = modified
    # Objects are users' bytes: a browser that shows one must not run it with the console's origin.
    response.headers["Content-Type"] = "application/octet-stream"
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _range(header: str, size: int) -> tuple[int, int] | None:
    """The one range asked for as (start, stop); None for the whole object, also for several ranges and for nonsense.

    Empty when the object has nothing there.
    """
    match = RANGE.fullmatch(header)
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if first and last and int(last) < int(first):
        return None
    start = int(first) if first else max(0, size - int(last))
    return start, min(size, int(last) + 1) if first and last else size


def _slice(stream: BinaryIO, start: int, stop: int) -> Iterator[bytes]:
    with stream:
        stream.seek(start)
        left = stop - start
        while left and (chunk := stream.read(min(CHUNK, left))):
            left -= len(chunk)
            yield chunk


urlpatterns = [path("objects/<str:token>", signed_object, name="signed-object")]
