"""DataProxyService: signed links for uploads and downloads, and data by `flyte://` address."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
import secrets

from django.utils import timezone
from flyteidl.core import identifier_pb2
from flyteidl.service import dataproxy_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from artifacts.exceptions import AlreadyExists, InvalidArgument, NotFound
from artifacts.places import NOBODYS, place_of
from artifacts.store import store
from artifacts.store.base import MAX_SEGMENT, too_long
from console.accounts.access import Action
from console.rpc.attempts import read_attempt
from console.rpc.caller import Caller
from console.rpc.convert.common import timestamp
from console.rpc.literals import literal_map
from console.rpc.nodes import find_node

MAX_LIFETIME = dt.timedelta(hours=1)
_MAX_SECONDS = 315_576_000_000  # of any protobuf Duration
MAX_NAME_LENGTH = 700  # bytes of a key in the strictest object store, less what we put before it


def create_upload_location(
    request: dataproxy_pb2.CreateUploadLocationRequest, caller: Caller
) -> dataproxy_pb2.CreateUploadLocationResponse:
    """Where to PUT a file. With a name and a root or MD5 the place is determined: the same request gives it again."""
    if not request.project or not request.domain:
        raise InvalidArgument("project and domain are required parameters")
    if not request.filename_root and not request.content_md5:
        raise InvalidArgument("content_md5 or filename_root is a required parameter")
    if request.content_md5 and len(request.content_md5) != hashlib.md5(usedforsecurity=False).digest_size:
        raise InvalidArgument("content_md5 must be the 16 bytes of an MD5 digest")
    caller.may(Action.REGISTER, request.project, request.domain)
    expires = _lifetime(request, request.expires_in)
    folder = request.filename_root or base64.b32encode(request.content_md5).decode()
    filename = request.filename or secrets.token_hex(10)
    objects = store()
    uri = objects.join(
        objects.root, "uploads", _segment(request.project), _segment(request.domain), _path(folder), _path(filename)
    )
    if request.filename and request.filename_root:
        _refuse_overwriting(uri, request.content_md5)
    url, headers = objects.signed_put(uri, expires=expires, content_md5=request.content_md5 or None)
    return dataproxy_pb2.CreateUploadLocationResponse(
        signed_url=url, native_url=uri, expires_at=timestamp(timezone.now() + expires), headers=headers
    )


def _refuse_overwriting(uri: str, md5: bytes) -> None:
    """Raises AlreadyExists where other content lies already."""
    objects = store()
    if not objects.exists(uri):
        return
    digest = hashlib.md5(usedforsecurity=False)
    if md5:
        with objects.open(uri) as stream:
            while chunk := stream.read(1024 * 1024):
                digest.update(chunk)
    if digest.digest() != md5:
        raise AlreadyExists(f"file already exists at location [{uri}], specify a matching hash if you wish to rewrite")


def _lifetime(request: Message, asked: Duration) -> dt.timedelta:
    if not request.HasField("expires_in"):
        return MAX_LIFETIME
    if asked.seconds * asked.nanos < 0 or abs(asked.nanos) >= 1_000_000_000 or abs(asked.seconds) > _MAX_SECONDS:
        raise InvalidArgument("expires_in is not a valid duration")
    lifetime = asked.ToTimedelta()
    if lifetime <= dt.timedelta():
        raise InvalidArgument(f"expires_in [{lifetime}] should be more than 0")
    if lifetime > MAX_LIFETIME:
        raise InvalidArgument(f"expires_in [{lifetime}] cannot exceed max allowed expiration [{MAX_LIFETIME}]")
    return lifetime


def _path(path: str) -> str:
    """A relative path that stays below where it is put. Raises InvalidArgument."""
    parts = path.split("/")
    if not path.isprintable() or any(part in ("", ".", "..") for part in parts):
        raise InvalidArgument(f"{path[:100]!r} cannot be used as a file name")
    if len(path.encode()) > MAX_NAME_LENGTH or too_long(path):
        raise InvalidArgument(
            f"{path[:100]!r} is too long for a file name: at most {MAX_NAME_LENGTH} bytes, and {MAX_SEGMENT} between "
            "two slashes"
        )
    return path


def _segment(name: str) -> str:
    if "/" in name:
        raise InvalidArgument(f"{name!r} cannot be a project or domain")
    return _path(name)


def create_download_location(
    request: dataproxy_pb2.CreateDownloadLocationRequest, caller: Caller
) -> dataproxy_pb2.CreateDownloadLocationResponse:
    """A link to any object of the store whose project and domain the caller may read."""
    _may_read(request.native_url, caller)
    expires = _lifetime(request, request.expires_in)
    return dataproxy_pb2.CreateDownloadLocationResponse(
        signed_url=store().signed_get(request.native_url, expires=expires),
        expires_at=timestamp(timezone.now() + expires),
    )


def _may_read(uri: str, caller: Caller) -> None:
    """Objects lie under <kind>/<project>/<domain>/; whoever may not read there may not read them."""
    store().key(uri)  # InvalidArgument for what is not in our store
    place = place_of(uri)
    if place is None or place == NOBODYS:
        raise InvalidArgument(f"{uri!r} belongs to no project and domain")
    caller.may(Action.READ, *place)


def create_download_link(
    request: dataproxy_pb2.CreateDownloadLinkRequest, caller: Caller
) -> dataproxy_pb2.CreateDownloadLinkResponse:
    """A link to a node's deck."""
    if request.artifact_type != dataproxy_pb2.ARTIFACT_TYPE_DECK:
        raise InvalidArgument(f"invalid artifact type [{request.artifact_type}]: a deck can be linked to")
    if not request.HasField("node_execution_id"):
        raise InvalidArgument("source is required: a node execution")
    expires = _lifetime(request, request.expires_in)
    links = _deck_links(request.node_execution_id, caller, expires)
    return dataproxy_pb2.CreateDownloadLinkResponse(
        signed_url=links.signed_url, expires_at=links.expires_at, pre_signed_urls=links
    )


def _deck_links(
    identifier: identifier_pb2.NodeExecutionIdentifier, caller: Caller, expires: dt.timedelta
) -> dataproxy_pb2.PreSignedURLs:
    _, node = find_node(identifier, caller)
    if not node.deck_uri or not store().exists(node.deck_uri):
        raise NotFound(f"no deck found for node {node.node_id}")
    url = store().signed_get(node.deck_uri, expires=expires)
    return dataproxy_pb2.PreSignedURLs(signed_url=[url], expires_at=timestamp(timezone.now() + expires))


_FLYTE_URL = re.compile(
    r"flyte://v1/(?P<project>[\w-]+)/(?P<domain>[\w-]+)/(?P<execution>[\w-]+)/(?P<node>[\w-]+)"
    r"(?:/(?P<attempt>[0-9]{1,6}))?/(?P<kind>[iod])(?:/(?P<name>[\w-]+))?"
)


def get_data(request: dataproxy_pb2.GetDataRequest, caller: Caller) -> dataproxy_pb2.GetDataResponse:
    """Inputs (i), outputs (o), one literal of them (i/name) or a link to the deck (d) of a node or of an attempt."""
    if not request.flyte_url:
        raise InvalidArgument("source is required. Provided empty string")
    match = _FLYTE_URL.fullmatch(request.flyte_url)
    if match is None or (match["kind"] == "d" and match["name"]):
        form = "flyte://v1/<project>/<domain>/<execution>/<node>[/<attempt>]/<i, o or d>[/<name>]"
        raise InvalidArgument(f"failed to parse artifact url [{request.flyte_url[:300]}]: it is not {form}")
    run = identifier_pb2.WorkflowExecutionIdentifier(
        project=match["project"], domain=match["domain"], name=match["execution"]
    )
    node_id = identifier_pb2.NodeExecutionIdentifier(node_id=match["node"], execution_id=run)
    if match["kind"] == "d":
        if match["attempt"]:
            raise InvalidArgument("deck type cannot be specified with a retry attempt, just use the node instead")
        return dataproxy_pb2.GetDataResponse(pre_signed_urls=_deck_links(node_id, caller, MAX_LIFETIME))
    uri = _data_uri(node_id, match["attempt"], caller, outputs=match["kind"] == "o")
    values, _ = literal_map(uri)
    if not match["name"]:
        return dataproxy_pb2.GetDataResponse(literal_map=values)
    if match["name"] not in values.literals:
        raise InvalidArgument(f"name [{match['name']}] not found in [{request.flyte_url}]")
    return dataproxy_pb2.GetDataResponse(literal=values.literals[match["name"]])


def _data_uri(
    identifier: identifier_pb2.NodeExecutionIdentifier, attempt: str | None, caller: Caller, *, outputs: bool
) -> str:
    execution, node = find_node(identifier, caller)
    if attempt is None:
        return node.output_uri if outputs else node.input_uri
    found = read_attempt(execution, node, int(attempt))
    return found.closure.output_uri if outputs else found.input_uri
