"""The object store: where literals, uploads, decks and logs lie. `store()` is the one the settings name."""

from __future__ import annotations

from functools import cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from artifacts.store.base import ObjectStore, StoredObject
from artifacts.store.local import LocalStore
from artifacts.task_users import TaskUsers, configured

__all__ = ["LocalStore", "ObjectStore", "StoredObject", "open_store", "store", "task_users"]


@cache
def task_users() -> TaskUsers | None:
    """Whom tasks run as, and so who may read objects in a local store; None: as this process's own user."""
    return configured(settings.CAUSEWAY_TASK_USER, settings.CAUSEWAY_HOME)


def open_store(root: str) -> ObjectStore:
    """The store at a root, `/directory` (or `file:///directory`) or `s3://bucket/prefix`."""
    if root.startswith(("/", "file:///")):
        return LocalStore(
            root,
            public_url=settings.CAUSEWAY_PUBLIC_URL,
            max_upload_bytes=settings.CAUSEWAY_MAX_UPLOAD_BYTES,
            users=task_users(),
        )
    if root.startswith("s3://"):
        from artifacts.store.s3 import S3Store  # noqa: PLC0415 - it takes a while to import, and most installations have no S3

        return S3Store(root)
    raise ImproperlyConfigured(f"CAUSEWAY_STORE_URL must start with / or s3://, not {root!r}")


@cache
def _open_once(root: str) -> ObjectStore:
    return open_store(root)


def store() -> ObjectStore:
    """The store of the settings, opened once per process."""
    return _open_once(settings.CAUSEWAY_STORE_URL)
