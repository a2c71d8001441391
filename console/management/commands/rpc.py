from __future__ import annotations

import logging
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from console import installation
from console.checks import refuse_exposure
from console.rpc.server import DEFAULT_THREADS, PortTaken, build_server
from scheduler.termination import on_termination

logger = logging.getLogger(__name__)

GRACE_SECONDS = 5.0  # how long calls under way may take once the server was told to stop


class Command(BaseCommand):
    help = "Serve Flyte's gRPC API to flytekit, pyflyte and FlyteRemote."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=settings.CAUSEWAY_BIND)
        parser.add_argument("--port", type=int, default=settings.CAUSEWAY_GRPC_PORT)
        parser.add_argument("--threads", type=int, default=DEFAULT_THREADS, help="calls served at the same time")

    def handle(self, *args: Any, host: str, port: int, threads: int, **options: Any) -> None:
        refuse_exposure()  # also where nobody ran the checks
        try:
            held = installation.hold()
        except installation.DatabaseTaken as error:
            raise CommandError(str(error)) from None
        host = f"[{host}]" if ":" in host else host
        try:
            server, bound = build_server(f"{host}:{port}", threads=threads)
        except PortTaken as error:
            raise CommandError(str(error)) from None
        stop = threading.Event()
        on_termination(stop.set)
        server.start()
        logger.info("gRPC on %s:%s", host, bound)
        stop.wait()
        server.stop(GRACE_SECONDS).wait()
        held.stop()
        logger.info("gRPC stopped")
