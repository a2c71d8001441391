"""What the local executor has to work with, the same for all of its attempts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from artifacts.exceptions import InvalidArgument
from artifacts.store import LocalStore, ObjectStore
from artifacts.task_users import TaskUsers
from scheduler.attempts.resources import Resources
from scheduler.executors.local.code import CodeCache
from scheduler.executors.local.environments import built_at, python_for
from scheduler.executors.local.identities import let_through
from scheduler.executors.local.lately import Lately
from scheduler.executors.local.limits import Limits
from scheduler.executors.local.run import Run
from scheduler.executors.local.shortage import Disks
from scheduler.secrets.mounts import Mounts
from scheduler.secrets.names import Request

SecretsOf = Callable[[int, Sequence[Request]], Mounts]


@dataclass
class Means:
    """`environments`: the Pythons that images stand for; `endpoint`: host and port of the gRPC door, for tasks that
    launch others (eager workflows); `token_of` an attempt id is what they show there, if it asks for one; `secrets_of`
    an attempt id and its requests are what its process gets (lookup.mounts_for); `users`: whom tasks run as;
    `may_read`: whether that of an attempt id may read another project and domain.
    """

    home: Path
    store: ObjectStore
    total: Resources
    limits: Limits = Limits()
    environments: Mapping[str, str] = field(default_factory=dict)
    built: Path | None = None  # where causeway.images builds environments of ImageSpecs
    endpoint: str = ""
    token_of: Callable[[int], str] | None = None
    secrets_of: SecretsOf | None = None
    users: TaskUsers | None = None
    may_read: Callable[[int, str, str], bool] | None = None

    def __post_init__(self) -> None:
        self.code = CodeCache(self.home / "code", self.store)
        self._pythons: Lately[tuple[str, int], str] = Lately(1.0)  # by image, and when one was built
        self.disks = Disks([self.home, *([self.store.directory] if isinstance(self.store, LocalStore) else [])])

    def code_of(self, run: Run) -> Path | None:
        """Where its code lies, if it brings some."""
        return self.code.path(run.plan.distribution, run.user) if run.plan.distribution else None

    def python_of(self, run: Run) -> str:
        image = run.spec.image
        return self._pythons.of((image, built_at(self.built)), lambda: self._python_for(image))

    def _python_for(self, image: str) -> str:
        python = python_for(image, self.environments, self.built)
        if self.users is not None and self.built is not None and python.startswith(f"{self.built}/"):
            let_through(Path(python))
            let_through(Path(python).resolve())
        return python

    def secrets(self, run: Run) -> Mounts:
        """Raises what `secrets_of` raises."""
        if self.secrets_of is None:
            raise InvalidArgument("this executor has no place that secrets come from")
        return self.secrets_of(run.assignment.attempt_id, run.spec.secrets)
