"""Inputs and outputs from the object store: inline when small, always with a signed link to the whole."""

from __future__ import annotations

import datetime as dt
import logging

from flyteidl.admin import common_pb2
from flyteidl.core import literals_pb2
from google.protobuf.message import DecodeError

from artifacts.exceptions import NotFound
from artifacts.store import store

logger = logging.getLogger(__name__)

MAX_INLINE_BYTES = 4 * 1024 * 1024  # two fit in the 20 MB that flytekit accepts, with room for a dynamic workflow
LINK_LIFETIME = dt.timedelta(hours=1)


def literal_map(uri: str) -> tuple[literals_pb2.LiteralMap, common_pb2.UrlBlob]:
    """What lies at the URI: (values, or none when they are large; a link). Both empty when nothing is there."""
    empty = literals_pb2.LiteralMap(), common_pb2.UrlBlob()
    if not uri:
        return empty
    objects = store()
    try:
        size = objects.size(uri)
        link = common_pb2.UrlBlob(url=objects.signed_get(uri, expires=LINK_LIFETIME), bytes=size)
        if size > MAX_INLINE_BYTES:
            return literals_pb2.LiteralMap(), link
        return literals_pb2.LiteralMap.FromString(objects.get(uri)), link
    except NotFound:
        logger.warning("%s is gone from the object store", uri)
    except DecodeError:
        logger.warning("%s is no LiteralMap", uri)
    return empty
