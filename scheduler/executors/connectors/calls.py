"""The calls of flyteidl's agent services (1.16.8), and what their failures mean.

The services know their task types by name and version. An error of a connector's own code comes as INTERNAL with a
traceback, a type that it does not know as NOT_FOUND (flytekit 1.16.31).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any, TypeVar

import grpc
import grpc.aio
from flyteidl.admin import agent_pb2
from flyteidl.core import literals_pb2
from flyteidl.service import agent_pb2_grpc

from scheduler.executors.connectors.connector import Connector

T = TypeVar("T")
READY_SECONDS = 5.0  # for a connection
_LARGEST = 256 * 1024**2  # bytes of a message: outputs come inline
_OPTIONS = (
    ("grpc.max_receive_message_length", _LARGEST),
    ("grpc.max_send_message_length", _LARGEST),
    # A connection that went silent is found out, and one that is refused is soon tried again.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.enable_retries", 0),  # a call is sent again by us alone, who know which may be
)
_NEVER_SENT = ("failed to connect to all addresses", "DNS resolution failed", "Name resolution failure")
_CUT_OFF = ("Received RST_STREAM", "Stream removed", "Socket closed")  # what grpc itself calls INTERNAL


class Away(Exception):
    """The service does not answer, and was certainly not asked; the message says which and why."""


class Lost(Exception):
    """The service may have been asked, and its answer is not known."""


class Refused(Exception):
    """The service answered that it does not; `unknown`: it does not know the task type."""

    def __init__(self, message: str, *, unknown: bool = False) -> None:
        super().__init__(message)
        self.unknown = unknown


class Calls:
    """The door of one service. For one event loop; raises Away, Lost and Refused."""

    def __init__(self, settings: Connector) -> None:
        """OSError if the certificates that the settings name cannot be read."""
        self.settings = settings
        self.channel = _channel(settings)
        self._async = agent_pb2_grpc.AsyncAgentServiceStub(self.channel)  # type: ignore[no-untyped-call]
        self._sync = agent_pb2_grpc.SyncAgentServiceStub(self.channel)  # type: ignore[no-untyped-call]
        self._metadata = agent_pb2_grpc.AgentMetadataServiceStub(self.channel)  # type: ignore[no-untyped-call]

    def is_at(self, settings: Connector) -> bool:
        """Whether these are of the same service, reached in the same way."""
        own = self.settings
        return (own.endpoint, own.secure, own.ca_file) == (settings.endpoint, settings.secure, settings.ca_file)

    @property
    def words(self) -> str:
        return f"connector {self.settings.name} ({self.settings.endpoint})"

    async def ready(self) -> None:
        """Be connected: what is asked afterwards was not lost for want of a connection."""
        if self.channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY:
            return
        try:
            await asyncio.wait_for(self.channel.channel_ready(), READY_SECONDS)
        except asyncio.TimeoutError:
            raise Away(f"{self.words} does not answer") from None

    async def agents(self) -> list[agent_pb2.Agent]:
        """What the service runs."""
        await self.ready()
        answer = await self._told(
            self._metadata.ListAgents(agent_pb2.ListAgentsRequest(), timeout=self.settings.get_seconds)
        )
        return list(answer.agents)

    async def create(self, request: agent_pb2.CreateTaskRequest) -> bytes:
        """The resource meta of the job that was made."""
        answer = await self._told(self._async.CreateTask(request, timeout=self.settings.create_seconds))
        return bytes(answer.resource_meta)

    async def get(self, category: agent_pb2.TaskCategory, meta: bytes, prefix: str) -> agent_pb2.Resource:
        request = agent_pb2.GetTaskRequest(
            task_type=category.name, task_category=category, resource_meta=meta, output_prefix=prefix
        )
        answer = await self._told(self._async.GetTask(request, timeout=self.settings.get_seconds))
        return agent_pb2.Resource.FromString(answer.resource.SerializeToString())

    async def delete(self, category: agent_pb2.TaskCategory, meta: bytes) -> None:
        request = agent_pb2.DeleteTaskRequest(task_type=category.name, task_category=category, resource_meta=meta)
        await self._told(self._async.DeleteTask(request, timeout=self.settings.get_seconds))

    async def execute(
        self, header: agent_pb2.CreateRequestHeader, inputs: literals_pb2.LiteralMap
    ) -> agent_pb2.Resource:
        """Of a service that works while it is asked. The second message is sent also where there are no inputs: without
        it flytekit's service fails. Outputs may come in the header or in messages after it.
        """

        async def parts() -> AsyncIterator[agent_pb2.ExecuteTaskSyncRequest]:
            yield agent_pb2.ExecuteTaskSyncRequest(header=header)
            yield agent_pb2.ExecuteTaskSyncRequest(inputs=inputs)

        async def answers() -> agent_pb2.Resource:
            resource: agent_pb2.Resource | None = None
            async for answer in self._sync.ExecuteTaskSync(parts(), timeout=self.settings.sync_seconds):
                if answer.HasField("header"):
                    resource = agent_pb2.Resource.FromString(answer.header.resource.SerializeToString())
                elif resource is not None:
                    resource.outputs.MergeFrom(answer.outputs)
            if resource is None:
                raise Refused(f"{self.words} ended the call without a result")
            return resource

        return await self._told(answers())

    async def _told(self, call: Awaitable[T]) -> T:
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            raise _meaning(self.words, error) from None

    async def close(self) -> None:
        await self.channel.close()


def _channel(settings: Connector) -> grpc.aio.Channel:
    options: Any = _OPTIONS
    if not settings.secure:
        return grpc.aio.insecure_channel(settings.endpoint, options=options)
    authorities = Path(settings.ca_file).read_bytes() if settings.ca_file else None
    return grpc.aio.secure_channel(settings.endpoint, grpc.ssl_channel_credentials(authorities), options=options)


def _meaning(words: str, error: grpc.aio.AioRpcError) -> Exception:
    code, details = error.code(), error.details() or ""
    if code is grpc.StatusCode.UNAVAILABLE:
        if any(sign in details for sign in _NEVER_SENT):
            return Away(f"{words} does not answer: {details}")
        return Lost(f"{words} was cut off: {details}")
    if code in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED):
        return Lost(f"{words} did not answer in time")
    if code is grpc.StatusCode.INTERNAL and details.startswith(_CUT_OFF):
        return Lost(f"{words} was cut off: {details}")
    return Refused(details or code.name, unknown=code is grpc.StatusCode.NOT_FOUND)
