"""The cache of users' code distributions: each archive is fetched and unpacked once."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
import threading
from pathlib import Path

from artifacts.store import ObjectStore


class CodeCache:
    def __init__(self, directory: Path, store: ObjectStore) -> None:
        self.directory = directory
        self.store = store
        self._lock = threading.Lock()

    def path(self, distribution: str) -> Path:
        """Where the code is, once fetched. Upload URIs carry the archive's digest, so a URI's content never changes."""
        return self.directory / hashlib.sha256(distribution.encode()).hexdigest()[:32]

    def ready(self, distribution: str) -> bool:
        return self.path(distribution).is_dir()

    def fetch(self, distribution: str) -> Path:
        """Have the code in place. Raises NotFound or InvalidArgument from the store, OSError, tarfile.TarError."""
        target = self.path(distribution)
        with self._lock:
            if target.is_dir():
                return target
            self.directory.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=self.directory))
            try:
                self._unpack(distribution, partial)
                partial.chmod(0o755)
                partial.rename(target)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
        return target

    def _unpack(self, distribution: str, into: Path) -> None:
        name = distribution.rpartition("/")[2]
        with self.store.open(distribution) as stream:
            if name.endswith((".tar.gz", ".tgz")):
                with tarfile.open(fileobj=stream, mode="r|gz") as archive:
                    archive.extractall(into, filter="data")
            else:  # a pickled notebook entity, which flytekit's resolver reads by its name
                with open(into / name, "wb") as file:
                    shutil.copyfileobj(stream, file)
