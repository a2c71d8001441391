"""The log of an attempt's pod: followed from the start, kept in the object store before the pod may go.

A plain read after a rotation gives only the newest file, and a read after a deletion an error sentence with status 200;
a follow gives everything, but loses lines where its reader lags, and what was said last. So the main container is
followed from its start into a file of this machine, by a reader that never waits for the store; at the end the tail is
read plainly, and both are merged by their time stamps. The other containers are read once, at the end.
"""

from __future__ import annotations

import itertools
import logging
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import urllib3

from artifacts.store import ObjectStore
from scheduler.attempts.frames import without_frames
from scheduler.executors.kubernetes.client import BAD_REQUEST, FORBIDDEN, NOT_FOUND, ApiError
from scheduler.executors.kubernetes.objects import Objects, is_no_log

logger = logging.getLogger(__name__)

CHUNK = 1 << 16
TAIL_LINES = 5000  # read plainly at the end
PEEK_LINES = 500
TAIL_BYTES = 4096  # of the log that a message shows
OTHERS_BYTES = 1 << 20  # of the log of each other container
SMALL = 1 << 20  # bytes
REFUSALS = 5  # after which others are followed; right after its start the API says of a container that it has none
SHORTEST, LONGEST = 0.2, 10.0  # seconds between two tries to follow
END_SECONDS = 3.0  # a follow ends as soon as the container: what is known of that comes up to so much later
FOLLOW_SECONDS = 5.0  # for which the end of a follow is waited for: it comes up to 2 s after the container's
_STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_MISSING = b"\n[Causeway: lines may be missing here: they came faster than they could be read]\n"


class LogKeeper:
    """The log of one attempt. `follow` in a thread of its own; `finish` once the container has ended; `stop` and
    `container_ended` by anybody.
    """

    def __init__(
        self,
        objects: Objects,
        handle: tuple[str, str],
        main: str,
        path: Path,
        uri: str,
        store: ObjectStore,
        limit: int,
        masked: Callable[[bytes], bytes] = bytes,
    ) -> None:
        """`handle`: namespace and pod; `path`: of the file it is followed into; `limit`: bytes kept of it, 0: all;
        `masked`: what may be shown of a text.
        """
        self.masked = masked
        self.objects, (self.namespace, self.pod), self.main = objects, handle, main
        self.path, self.limit = path, limit
        self.uri, self.store = uri, store
        self._sent = 0  # bytes
        self._sending = threading.Lock()
        self.followed = threading.Event()  # the follow has ended, or there is none
        self.followed.set()
        self._beginning = threading.Lock()
        self._over = threading.Event()  # nothing more comes of the container
        self._finishing = self._whole = False
        self._last = b""  # the newest time stamp of what was written
        self._left_out = 0
        self._written = 0
        self._stopping = False
        self._refusals = 0  # one after the other

    def follow(self) -> None:
        """Until the container has ended, through outages of the API and of the node however long they last. Raises
        nothing: what is missed is read at the end.
        """
        with self._beginning:
            if self._finishing:
                return  # its turn came too late
            self.followed.clear()
        try:
            self._follow_on()
        finally:
            self.followed.set()

    def _follow_on(self) -> None:
        pause = SHORTEST
        while not self._stopping and self._refusals < REFUSALS:
            before = self._last
            if self._follow_once():  # also where the kubelet was started anew, and the container runs on
                self._over.wait(END_SECONDS)
            if self._over.is_set():
                return
            pause = SHORTEST if self._last != before else min(LONGEST, pause * 2)
            self._over.wait(pause)

    def _follow_once(self) -> bool:
        """Whether it came to its end."""
        since = self._last.decode()
        try:
            with self.objects.log(self.namespace, self.pod, self.main, follow=True, since=since) as response:
                lines = _lines(response.stream(CHUNK, decode_content=True))
                self._refusals = 0
                self._write(itertools.takewhile(lambda line: not self._stopping, lines))
        except (ApiError, urllib3.exceptions.HTTPError, OSError) as error:
            logger.debug("the log of %s broke off: %s", self.pod, error)
            if isinstance(error, ApiError) and error.status in (BAD_REQUEST, FORBIDDEN, NOT_FOUND):
                self._refusals += REFUSALS if error.status == FORBIDDEN else 1
            return False
        return True

    @property
    def written(self) -> bool:
        """Whether there is something of it here."""
        return bool(self._last)

    def container_ended(self) -> None:
        """A follow that ends now has come to its end; one that broke off is not begun again."""
        self._over.set()

    def stop(self) -> None:
        self._stopping = True
        self._over.set()

    def finish(self, others: Iterable[str], *, at_least: int = 0) -> None:
        """Read what the follow missed at the end, then the logs of `others`, and send all. Raises what the store does.

        Whatever cannot be read any more is left out: what was followed is there. Waits for the end of a follow.
        Nothing is sent that has not `at_least` so many bytes.
        """
        with self._beginning:
            self._finishing = True
        self.container_ended()
        self.followed.wait(FOLLOW_SECONDS)
        self.stop()
        if not self._whole:
            self._read_rest(others)
            self._whole = True  # also where the store does not take it now, and it is sent again
        with self._sending:
            if self.path.exists() and self.path.stat().st_size >= at_least:
                self.store.put_file(self.uri, str(self.path))

    def _read_rest(self, others: Iterable[str]) -> None:
        self._read_tail()
        for name in others:
            if text := self._read_all(name):
                self._append(f"\n=== container {name} ===\n".encode() + text)
        if self._left_out:
            said = f"\n[Causeway left out {self._left_out} bytes here: a log may have {self.limit} bytes]\n"
            self._append(said.encode())

    def send_grown(self) -> None:
        """So that it can be read meanwhile: a longer one when it has grown by a tenth. Not while it is sent already."""
        if self.followed.is_set() or not self._sending.acquire(blocking=False):
            return
        try:
            size = self.path.stat().st_size if self.path.exists() else 0
            if not self.followed.is_set() and size > (self._sent if size < SMALL else self._sent + self._sent // 10):
                self.store.put_file(self.uri, str(self.path))
                self._sent = size
        finally:
            self._sending.release()

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)

    def tail(self, size: int = TAIL_BYTES) -> str:
        """The end of the main container's log."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - size))
                return file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def peek(self, size: int = TAIL_BYTES) -> str:
        """The end of the main container's log for a message, read from the cluster while that has it."""
        lines = self._plain(self.main, tail=PEEK_LINES)
        said = b"".join(line.partition(b" ")[2] for line in lines).decode(errors="replace")
        return without_frames(said)[-size:] or self.tail(size)

    def _read_tail(self) -> None:
        if not self._last:
            self._read_unfollowed()
            return
        lines = self._plain(self.main, tail=TAIL_LINES)
        first = next(iter(lines), b"").partition(b" ")[0]
        if len(lines) >= TAIL_LINES and first > self._last:
            self._append(_MISSING)
        self._write(lines)

    def _read_unfollowed(self) -> None:
        """All that the node has of it still: of a log that was rotated its newest file, and nothing tells."""
        try:
            with self.objects.log(self.namespace, self.pod, self.main) as response:
                self._write(_lines(response.stream(CHUNK, decode_content=True)))
        except (ApiError, urllib3.exceptions.HTTPError) as error:
            logger.debug("no log of %s/%s: %s", self.pod, self.main, error)

    def _read_all(self, container: str) -> bytes:
        said = b"".join(line.partition(b" ")[2] for line in self._plain(container, tail=TAIL_LINES))
        return self.masked(said)[-OTHERS_BYTES:]

    def _plain(self, container: str, *, tail: int) -> list[bytes]:
        try:
            with self.objects.log(self.namespace, self.pod, container, tail=tail) as response:
                lines = list(_lines(response.stream(CHUNK, decode_content=True)))
        except (ApiError, urllib3.exceptions.HTTPError) as error:
            logger.debug("no log of %s/%s: %s", self.pod, container, error)
            return []
        return [] if len(lines) == 1 and is_no_log(lines[0]) else lines

    def _write(self, lines: Iterable[bytes]) -> None:
        """What is newer than what was there before; lines come with their stamps, and are kept without."""
        before = self._last
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            for line in lines:
                stamp, _, said = line.partition(b" ")
                said = self.masked(said)
                if not _STAMP.fullmatch(stamp):
                    if is_no_log(line):
                        continue
                    stamp, said = self._last, self.masked(line)
                elif before and stamp <= before:
                    continue
                self._last = max(self._last, stamp)
                if self.limit and self._written + len(said) > self.limit:
                    self._left_out += len(said)
                else:
                    file.write(said)
                    file.flush()
                    self._written += len(said)

    def _append(self, text: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(text)


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines with their ends; the last one perhaps without."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line + b"\n"
    if rest:
        yield rest
