"""The end of `script/up`, whose supervisor has ended: `python -m console.supervisor.stopping HOME`."""

from __future__ import annotations

import sys
from pathlib import Path

from console.supervisor.leftovers import stop_leftovers
from console.supervisor.paths import Home


def main(home: str) -> None:
    stop_leftovers(Home(Path(home)))
    print("stopped", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
