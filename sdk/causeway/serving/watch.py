"""The version that is served, kept up with an alias that moves."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from causeway.client import Client
from causeway.http import CausewayError
from causeway.serving.forms import CannotLoad
from causeway.serving.models import Loaded, load
from causeway.version import Version

logger = logging.getLogger(__name__)

EVERY_SECONDS = 5.0

Load = Callable[[Version, Path], Loaded]


class Served:
    """Looks every some seconds whether the artifact's alias leads to another version, loads that beside the one that
    answers, and puts it in its place: who has asked already is answered by the old one.

    A version that cannot be loaded, or a console that is away, changes nothing; `problem` says it.
    """

    def __init__(
        self,
        client: Client,
        name: str,
        *,
        alias: str = "",
        version: str = "",
        loader: str = "",
        allow_pickle: bool = False,
        every: float = EVERY_SECONDS,
    ) -> None:
        """:param every: seconds between two looks; a `version` is never looked for again"""
        self.client, self.name, self.alias, self.fixed = client, name, alias, version
        self.loader, self.allow_pickle, self.every = loader, allow_pickle, every
        self.current: Loaded | None = None
        self.problem = ""
        self.swapped_at: datetime | None = None
        self._refused: int | None = None  # a version that could not be loaded: once is enough
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> Served:
        """Load the first version, and keep up from then on. Raises CausewayError and CannotLoad."""
        self.look()
        if not self.fixed:
            self._thread = threading.Thread(target=self._keep_up, name="alias", daemon=True)
            self._thread.start()
        return self

    def stop(self) -> None:
        self._ending.set()
        if self._thread is not None:
            self._thread.join(self.every + 1)

    def look(self) -> bool:
        """Whether there was another version, which answers now. Raises CausewayError and CannotLoad."""
        found = self.client.get(self.name, alias=self.alias, version=self.fixed)
        before = self.current
        if before is not None and found.id == before.version.id:
            self.problem = ""  # what there was is over
            return False
        if found.id == self._refused:
            return False
        folder = Path(tempfile.mkdtemp(prefix="causeway-model-"))
        try:
            made = load(found, folder, loader=self.loader, allow_pickle=self.allow_pickle)
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            self._refused = found.id if isinstance(error, CannotLoad) else None
            raise
        self.current, self.swapped_at, self.problem = made, datetime.now(timezone.utc), ""  # one reference: no lock
        logger.info("%s@%s answers now", made.version.name, made.version.version)
        return True

    def _keep_up(self) -> None:
        while not self._ending.wait(self.every):
            try:
                self.look()
            except (CausewayError, CannotLoad, OSError) as error:
                self.problem = str(error)
                logger.warning("the version that answers stays: %s", error)
