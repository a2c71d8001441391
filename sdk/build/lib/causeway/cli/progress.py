"""Progress bars of transfers: on stderr, and only where somebody looks at a terminal."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from causeway.transfers import Progress, no_progress

WIDTH = 30  # characters of a bar
EVERY = 0.1  # seconds between two drawings


@contextmanager
def shown() -> Iterator[Progress]:
    """A callback that draws a bar on stderr; one that does nothing where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield no_progress
        return
    bar = _Bar()
    try:
        yield bar
    finally:
        bar.clear()


class _Bar:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.drawn = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        with self.lock:
            if time.monotonic() - self.drawn < EVERY and done < total:
                return
            self.drawn = time.monotonic()
            share = done / total if total else 1.0
            full = int(share * WIDTH)
            text = f"{what[:40]:<40} [{'#' * full}{'.' * (WIDTH - full)}] {share:4.0%} of {total / 1e6:.1f} MB"
            click.echo(f"\r{text}", nl=False, err=True)

    def clear(self) -> None:
        click.echo("\r\x1b[K", nl=False, err=True)
