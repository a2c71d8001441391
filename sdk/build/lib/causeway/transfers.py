"""Bytes to and from the object store through signed URLs: in parts, again after a failure, on after a break."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import requests

from causeway.http import FIRST_PAUSE, CausewayError, Connection, refusal

CHUNK = 1 << 20
TRIES = 6
PARALLEL = 4  # parts at a time
TIMEOUT_SECONDS = 300

Progress = Callable[[str, int, int], None]
"""Called with what is being done to what, bytes done and bytes in all; from several threads."""


def no_progress(what: str, done: int, total: int) -> None:
    """For those who do not look."""


@dataclass(frozen=True)
class LocalFile:
    path: str  # as it is called in the upload
    source: Path
    size: int  # bytes
    sha256: str


def look_at(source: Path, progress: Progress = no_progress) -> tuple[list[LocalFile], bool]:
    """The file, or the files of the folder, with their hashes; and whether it is a folder.

    :raises CausewayError: for what is neither, or a folder without files
    """
    if source.is_dir():
        paths = sorted(path for path in source.rglob("*") if path.is_file())
        if not paths:
            raise CausewayError(f"{source} holds no files")
        return [_look(path, path.relative_to(source).as_posix(), progress) for path in paths], True
    if not source.is_file():
        raise CausewayError(f"{source} is no file or directory")
    return [_look(source, source.name, progress)], False


def _look(source: Path, name: str, progress: Progress) -> LocalFile:
    digest, size, total = hashlib.sha256(), 0, source.stat().st_size
    with source.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            progress(f"reading {name}", size, total)
    return LocalFile(name, source, size, digest.hexdigest())


def upload(
    connection: Connection, scope: str, files: Sequence[LocalFile], *, folder: bool, progress: Progress = no_progress
) -> dict[str, Any]:
    """Upload what is not there yet; the completed upload, with its `uri`. Doing it again after a break goes on.

    :param scope: project/domain
    """
    listed = [{"path": file.path, "size_bytes": file.size, "sha256": file.sha256} for file in files]
    body = {"files": listed, "shape": "directory" if folder else "file"}
    state = connection.repeat("POST", f"uploads/{scope}", json=body)
    counter = _Counter(state, progress)
    for attempt in range(TRIES):
        refused = _send(state, files, counter)
        if refused is None:
            break
        if attempt == TRIES - 1 or (refused.status != 403 and not refused.unavailable):
            raise refused
        state = connection.repeat("POST", f"uploads/{scope}", json=body)  # new links: the old ones may have expired
    return dict(connection.repeat("POST", f"uploads/{scope}/complete", json=body, timeout=3600))


class _Counter:
    def __init__(self, state: dict[str, Any], progress: Progress) -> None:
        self.progress, self.total = progress, state["size_bytes"]
        missing = sum(part["size_bytes"] for _, part in _missing(state))
        self.done = self.total - missing
        progress("uploading", self.done, self.total)

    def add(self, size: int) -> None:
        self.done += size
        self.progress("uploading", self.done, self.total)


def _missing(state: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    for index, file in enumerate(state["files"]):
        for part in file["parts"]:
            if not part["done"]:
                yield index, part


def _send(state: dict[str, Any], files: Sequence[LocalFile], counter: _Counter) -> CausewayError | None:
    """Send the missing parts; the first refusal, when there was one."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        jobs = [pool.submit(_send_part, files[index].source, part, counter) for index, part in _missing(state)]
        try:
            for job in jobs:
                job.result()
        except CausewayError as error:
            return error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return None


def _send_part(source: Path, part: dict[str, Any], counter: _Counter) -> None:
    with source.open("rb") as stream:
        stream.seek(part["offset"])
        data = stream.read(part["size_bytes"])
    if len(data) != part["size_bytes"]:
        raise CausewayError(f"{source} became shorter while it was uploaded", status=400)
    for attempt in range(TRIES):
        try:
            response = requests.put(part["url"], data=data, timeout=TIMEOUT_SECONDS)
        except requests.RequestException as error:
            message = f"the upload of {source.name} broke off: {type(error).__name__}"
            refused = CausewayError(message, unreachable=True)
        else:
            if response.ok:
                counter.add(len(data))
                return
            refused = refusal(response)
        if not refused.unavailable or attempt == TRIES - 1:
            raise refused
        time.sleep(FIRST_PAUSE * 2**attempt)


def download(
    url: str, target: Path, *, size: int, identity: str, sha256: str = "", progress: Progress = no_progress
) -> None:
    """Download a signed URL to a file. The file appears only when it is complete; a later try goes on from what came.

    :param identity: of the data: what came of other data is not gone on with
    :raises CausewayError: when the server refuses, or what came has another size or SHA-256
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name[:200]}.{hashlib.sha256(identity.encode()).hexdigest()[:12]}.part")
    for attempt in range(TRIES):
        have = part.stat().st_size if part.exists() else 0
        if have > size:
            part.unlink()
            have = 0
        if have == size and part.exists():
            break
        try:
            _receive(url, part, have, size, partial(progress, f"downloading {target.name}"))
        except (requests.RequestException, CausewayError) as error:
            failure = error if isinstance(error, CausewayError) else _broken_off(target, error)
            if attempt == TRIES - 1 or not failure.unavailable:
                raise failure from error
            time.sleep(FIRST_PAUSE * 2**attempt)
    found = part.stat().st_size
    if found != size:
        raise CausewayError(f"{target.name} has {found} bytes, not {size}; what came is in {part}")
    if sha256 and _look(part, target.name, no_progress).sha256 != sha256:
        part.unlink()
        raise CausewayError(f"{target.name} is not what was published: its SHA-256 is not {sha256}")
    part.replace(target)


def _broken_off(target: Path, error: requests.RequestException) -> CausewayError:
    return CausewayError(f"the download of {target.name} broke off: {type(error).__name__}", unreachable=True)


def _receive(url: str, part: Path, have: int, size: int, progress: Callable[[int, int], None]) -> None:
    headers = {"Range": f"bytes={have}-"} if have else {}
    with requests.get(url, stream=True, timeout=TIMEOUT_SECONDS, headers=headers) as response:
        if not response.ok:
            raise refusal(response)
        goes_on = response.status_code == 206
        have = have if goes_on else 0
        with part.open("ab" if goes_on else "wb") as file:
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                have += len(chunk)
                progress(have, size)
