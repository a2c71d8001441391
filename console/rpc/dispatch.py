"""From a call's bytes to one function and back: authentication, decoding, errors, connections; one way for all."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any
from urllib.parse import unquote

import grpc
from django.db import DataError, close_old_connections, transaction
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from artifacts.exceptions import UNKEEPABLE, CausewayError, DatabaseAway, InvalidArgument, StoreFull, told
from console.accounts import refusals
from console.accounts.scopes import forget_caller
from console.accounts.throttle import network
from console.rpc.caller import Caller, authenticate, carries_token
from console.rpc.errors import Unimplemented
from console.rpc.texts import check_texts

logger = logging.getLogger(__name__)

Method = Callable[[Any, Caller], Message]
Greeting = Callable[[Any, "Caller | None"], Message]  # answered to nobody too
OpenMethod = Callable[[Any], Message]  # needs no authentication: what a client asks to learn how to authenticate

READS = ("Get", "List", "CreateUpload", "CreateDownload", "UserInfo")  # methods that change nothing in the database
WRITES = frozenset({"GetOrCreateSignal"})  # although it begins like one of those
MAX_DETAILS = 8_000  # gRPC sends details in a header, which clients cap (flytekit at 32 KB)


def service_handler(
    service: ServiceDescriptor,
    methods: Mapping[str, Method],
    *,
    open_methods: Mapping[str, OpenMethod] | None = None,
    greetings: Mapping[str, Greeting] | None = None,
    not_served: Mapping[str, str] | None = None,
) -> grpc.GenericRpcHandler:
    """Serves every method the service declares; those without a function answer UNIMPLEMENTED with a reason.

    Decoding happens here and not in gRPC's generated handlers, which turn malformed bytes into INTERNAL.
    """
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {}
    for method in service.methods:
        if open_methods and method.name in open_methods:
            call = _without_caller(open_methods[method.name])
        elif greetings and method.name in greetings:
            call = _greeting(greetings[method.name])
        else:
            reason = (not_served or {}).get(method.name, "Causeway does not have this")
            call = _with_caller(method, methods.get(method.name) or _unserved(method.name, reason))
        handlers[method.name] = grpc.unary_unary_rpc_method_handler(_answer(method, call))
    return grpc.method_handlers_generic_handler(service.full_name, handlers)


_Call = Callable[[Callable[[], Message], grpc.ServicerContext], Message]


def _with_caller(method: MethodDescriptor, function: Method) -> _Call:
    writes = method.name in WRITES or not method.name.startswith(READS)

    # The caller is known before the request is decoded: strangers learn nothing from what we make of their bytes.
    def call(decode: Callable[[], Message], context: grpc.ServicerContext) -> Message:
        forget_caller()
        caller = authenticate(context.invocation_metadata(), _address(context))
        request = decode()
        try:
            # A change and its row in the audit trail commit together.
            with transaction.atomic() if writes else nullcontext():
                return function(request, caller)
        except CausewayError as error:
            if writes:
                refusals.note(caller.user, error, method.full_name)
            raise

    return call


def _without_caller(function: OpenMethod) -> _Call:
    return lambda decode, context: function(decode())


def _greeting(function: Greeting) -> _Call:
    """For nobody too, as `/healthz` is: whoever starts Causeway asks whether the door is open before having a token.
    A bad token is refused all the same.
    """

    def call(decode: Callable[[], Message], context: grpc.ServicerContext) -> Message:
        metadata = context.invocation_metadata()
        forget_caller()
        caller = authenticate(metadata, _address(context)) if carries_token(metadata) else None
        return function(decode(), caller)

    return call


def _address(context: grpc.ServicerContext) -> str:
    """Of `ipv4:192.0.2.1:5000` or `ipv6:[2001:db8::1]:5000` what stands in the middle."""
    return network(unquote(context.peer()).partition(":")[2].rpartition(":")[0].strip("[]"))


def _unserved(name: str, reason: str) -> Method:
    def method(request: Message, caller: Caller) -> Message:
        raise Unimplemented(f"{name} is not served: {reason}")

    return method


def _answer(method: MethodDescriptor, call: _Call) -> Callable[[bytes, grpc.ServicerContext], bytes]:
    request_class = GetMessageClass(method.input_type)

    def answer(data: bytes, context: grpc.ServicerContext) -> bytes:
        def decode() -> Message:
            try:
                request = request_class.FromString(data)
            except DecodeError:
                raise InvalidArgument(f"the request is no {method.input_type.full_name}") from None
            check_texts(request)
            return request

        close_old_connections()
        try:
            return call(decode, context).SerializeToString()
        except CausewayError as error:
            _fail(context, error.grpc_status, error.message)
        except DataError:
            # The database's last word on what no check foresaw: too long, out of range, not a character.
            logger.warning("%s: refused by the database", method.full_name, exc_info=True)
            _fail(context, "INVALID_ARGUMENT", UNKEEPABLE)
        except Exception as error:
            if isinstance(known := told(error), (StoreFull, DatabaseAway)):
                _fail(context, known.grpc_status, known.message)
                return b""
            reference = secrets.token_hex(6)
            logger.exception("%s failed, reference %s", method.full_name, reference)
            _fail(context, "INTERNAL", f"internal error, reference {reference}: the server's log says more")
        finally:
            close_old_connections()
        return b""

    return answer


def _fail(context: grpc.ServicerContext, status: str, message: str) -> None:
    """Ends the call with a status. Not `context.abort`, whose exception gRPC would log as ours."""
    text = message if len(message) <= MAX_DETAILS else message[:MAX_DETAILS] + " ..."
    context.set_code(grpc.StatusCode[status])
    context.set_details(text)
