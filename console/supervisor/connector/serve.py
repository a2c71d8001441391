"""flytekit's connector service (`pyflyte serve connector`), for this machine alone: flytekit's own listens everywhere,
and asks nobody who they are. It runs in any Python that has flytekit and the plug-ins wanted, and imports nothing of
Causeway's.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc.aio
from flyteidl.service import agent_pb2_grpc
from flytekit.extend.backend.base_connector import ConnectorRegistry
from flytekit.extend.backend.connector_service import (
    AsyncConnectorService,
    ConnectorMetadataService,
    SyncConnectorService,
)

LARGEST = 256 * 1024**2  # bytes of a message
THREADS = 64  # for connectors whose methods are not coroutines


async def serve(address: str) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    options = [("grpc.max_receive_message_length", LARGEST), ("grpc.max_send_message_length", LARGEST)]
    server = grpc.aio.server(options=options)
    agent_pb2_grpc.add_AsyncAgentServiceServicer_to_server(AsyncConnectorService(), server)  # type: ignore[no-untyped-call]
    agent_pb2_grpc.add_SyncAgentServiceServicer_to_server(SyncConnectorService(), server)  # type: ignore[no-untyped-call]
    agent_pb2_grpc.add_AgentMetadataServiceServicer_to_server(ConnectorMetadataService(), server)  # type: ignore[no-untyped-call]
    if server.add_insecure_port(address) == 0:
        sys.exit(f"{address} cannot be listened at")
    await server.start()
    names = sorted(name for one in ConnectorRegistry.list_connectors() for name in one.supported_task_types)
    sys.stderr.write(f"serving {', '.join(names)} at {address}\n")
    await server.wait_for_termination()


def main() -> None:
    """`serve.py ADDRESS`; CAUSEWAY_CONNECTOR_MODULES names modules to be imported, separated by commas."""
    with contextlib.suppress(ImportError):  # without httpx there are no webhooks
        importlib.import_module("flytekit.extras.webhook")
    for name in filter(None, os.environ.get("CAUSEWAY_CONNECTOR_MODULES", "").split(",")):
        importlib.import_module(name.strip())
    asyncio.run(serve(sys.argv[1]))


if __name__ == "__main__":
    main()
