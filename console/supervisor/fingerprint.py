"""Remembers for which code and settings a data directory was prepared, so that the next start need not do it again."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from console.supervisor import roles
from console.supervisor.processes import ROOT, Options, shared_environment


def _files() -> list[Path]:
    migrations = [
        path
        for app in ("audit", "artifacts", "lineage", "scheduler", "console")
        for path in (ROOT / app).rglob("migrations/*.py")
    ]
    static = [path for path in (ROOT / "frontend").rglob("*") if path.is_file()]
    rights = [ROOT / "console" / "executor_rights.py", ROOT / "console" / "supervisor" / "roles.py"]
    bootstrap = (ROOT / "console").rglob("bootstrap.py")
    return sorted([*migrations, *static, *rights, ROOT / "requirements.txt", *bootstrap])


def _fingerprint(options: Options) -> str:
    """Changes with every migration, static file, and setting that the checks of `bootstrap` look at."""
    settings = {name: value for name, value in os.environ.items() if name.startswith("CAUSEWAY_")}
    seen = hashlib.sha256(repr(sorted({**settings, **shared_environment(options)}.items())).encode())
    if options.postgres:  # the database has to know the passwords that are in the data directory
        for role in roles.PASSWORD_FILES:
            seen.update(f"{role}:{roles.password(options.home, role)}\n".encode())
    for path in _files():
        status = path.stat()
        seen.update(f"{path}:{status.st_size}:{status.st_mtime_ns}\n".encode())
    return seen.hexdigest()


def is_prepared(options: Options) -> bool:
    """Only for the embedded database: what happens to somebody else's server is not ours to know."""
    note = options.home.root / "prepared"
    present = options.home.admin_token.exists() and note.exists()
    return options.postgres and present and note.read_text() == _fingerprint(options)


def note_prepared(options: Options) -> None:
    (options.home.root / "prepared").write_text(_fingerprint(options))
