"""Entries of a Kedro catalog become versions: by hand (`publish_entry`), or whenever a run saves one (`Publishing`)."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from causeway.client import Client
from causeway.http import CausewayError
from causeway.version import Version

LOCAL = ("file", "local", "")


def publish_entry(
    client: Client, project: Path, entry: str, *, env: str | None = None, name: str = "", **details: Any
) -> Version:
    """Publish what an entry of the project's catalog holds now: a file of this machine is uploaded, others are referred
    to where they lie. CausewayError for entries that lie nowhere (memory, SQL queries).
    """
    with redirect_stdout(sys.stderr):  # Kedro logs to the other one, which is for what was asked for, once imported
        from kedro.framework.session import KedroSession
        from kedro.framework.startup import bootstrap_project

        bootstrap_project(project)
        with KedroSession.create(project_path=project, env=env) as session:
            catalog = session.load_context().catalog
            if entry not in catalog:
                raise CausewayError(f"{project} has no entry {entry!r} in its catalog")
            dataset = catalog[entry]
    return publish_dataset(client, dataset, entry, name=name, **details)


def publish_dataset(client: Client, dataset: Any, entry: str, *, name: str = "", **details: Any) -> Version:
    """As publish_entry, of a dataset in hand. A versioned one is published under its version."""
    dataset = getattr(dataset, "_dataset", dataset)  # what Kedro wraps to cache or to transcode
    if getattr(dataset, "_filepath", None) is None:
        raise CausewayError(f"{entry} is a {type(dataset).__name__}, which lies at no path")
    protocol = str(getattr(dataset, "_protocol", "file"))
    version = str(dataset.resolve_load_version() or "") if getattr(dataset, "_version", None) else ""
    path = str(dataset._get_load_path()) if version else str(dataset._filepath)
    told: dict[str, Any] = {
        "version": version,
        "producer": f"kedro:{entry}",
        "metadata": {"kedro.entry": entry, "kedro.type": f"{type(dataset).__module__}.{type(dataset).__name__}"},
        **details,
    }
    if protocol not in LOCAL:
        address = path if "://" in path else f"{protocol}://{path.lstrip('/')}"
        return client.create(name or entry, external_ref=address, format=Path(path).suffix.lstrip("."), **told)
    local = Path(path.removeprefix("file://"))
    if not local.exists():
        raise CausewayError(f"{entry} has no data yet: nothing lies at {local}")
    if local.is_dir():
        return client.create(name or entry, directory=local, **told)
    return client.create(name or entry, file=local, **told)


def publishing(entries: Iterable[str], *, client: Client | None = None) -> Any:
    """A Kedro hook that publishes entries whenever a run saves them: `HOOKS = (publishing(["model_input"]),)` in the
    project's settings.py.

    :param entries: names of entries of the catalog
    :param client: default: one for the address and token in the environment
    """
    from kedro.framework.hooks import hook_impl  # which marks what Kedro calls

    wanted = frozenset(entries)

    class Publishing:
        def __init__(self) -> None:
            self._catalog: Any = None

        @hook_impl
        def after_catalog_created(self, catalog: Any) -> None:
            self._catalog = catalog

        @hook_impl
        def after_dataset_saved(self, dataset_name: str) -> None:
            if dataset_name in wanted:
                publish_dataset(client or Client(), self._catalog[dataset_name], dataset_name)

    return Publishing()
