"""A worker of Celery, as script/up starts it: `python -m console.work NAME --pool solo`.

What `celery worker` would do, without Celery's command line: that imports a terminal's line editor, among others.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys

from celery.concurrency import get_implementation
from celery.utils.nodenames import default_nodename, host_format

from console.celery import app


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m console.work", description=__doc__)
    parser.add_argument("name", help="that it has in the broker")
    parser.add_argument("--pool", choices=["solo", "threads"], required=True)
    parser.add_argument("--concurrency", type=int)
    parser.add_argument("--queues", help="default: the settings' own")
    parser.add_argument("--nice", type=int, default=0, help="how much it stands back for others who want the processor")
    found = parser.parse_args(arguments)
    os.nice(found.nice)
    worker = app.Worker(
        hostname=host_format(default_nodename(f"{found.name}@%h")),
        pool_cls=get_implementation(found.pool),
        concurrency=found.concurrency,
        queues=found.queues,
        loglevel=logging.WARNING,
        quiet=True,
        no_color=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
