"""The gRPC server: Flyte's services and the standard health check, on one port."""

from __future__ import annotations

import logging
from typing import Any

import grpc
from django.db import DatabaseError, close_old_connections, connection, connections

from console.fair import callers
from console.fair.pool import Calls, Pool
from console.fair.turns import Caller
from console.rpc.services import handlers

logger = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 32 * 1024 * 1024  # larger ones are refused as RESOURCE_EXHAUSTED; flytekit itself reads up to 20 MB
OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", 32 * 1024),
    ("grpc.so_reuseport", 0),  # a second server on the port must fail, not take half of the calls
    # flytekit pings every 30 s, with and without calls; gRPC's default would answer with "too many pings".
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
]
DEFAULT_THREADS = 16

# grpc.health.v1.HealthCheckResponse with status SERVING and NOT_SERVING: one enum field, not worth a dependency.
_SERVING, _NOT_SERVING = b"\x08\x01", b"\x08\x02"


class PortTaken(Exception):
    """The address cannot be bound; the message says which."""


def build_server(address: str, *, threads: int = DEFAULT_THREADS) -> tuple[grpc.Server, int]:
    """A server bound to `host:port` but not started, and its port. Port 0 picks a free one. Raises PortTaken."""
    pool = Calls(Pool(threads, "rpc", connections.close_all), _caller_of)
    server = grpc.server(pool, options=OPTIONS)  # type: ignore[arg-type] # it only submits
    server.add_generic_rpc_handlers((*handlers(), _health()))
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        port = 0
    if port == 0:
        raise PortTaken(f"cannot listen on {address}: is another server running there?")
    return server, port


def _caller_of(given: tuple[Any, ...]) -> Caller:
    """Among what gRPC gives to its pool is the event of the call, with its metadata."""
    found = (getattr(one, "invocation_metadata", None) for one in given)
    return callers.of_metadata(next((metadata for metadata in found if metadata is not None), ()))


def _health() -> grpc.GenericRpcHandler:
    check: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(_check_health)
    return grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": check})


def _check_health(request: bytes, context: grpc.ServicerContext) -> bytes:
    """SERVING while the database answers; without it no call can."""
    close_old_connections()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        logger.warning("health check failed: %s", error)
        return _NOT_SERVING
    finally:
        close_old_connections()
    return _SERVING
