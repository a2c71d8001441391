"""`script/backup` and `script/restore`: everything that makes up an installation, as one directory and back.

A backup holds the database as pg_dump's archive, the objects of a local store, the small files of the data directory
(keys, the first admin's token, the data version), and `backup.json`, which is written last and says that it is whole.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from console.supervisor import preflight, roles
from console.supervisor.errors import CannotStart
from console.supervisor.leftovers import running
from console.supervisor.paths import Home
from console.supervisor.processes import ROOT

FORMAT = 1
# Files of the data directory that belong to a run of it, not to what is kept.
NOT_KEPT = {"up.lock", "executor.lock", "prepared", "flyte.yaml"}
DUMP, MANIFEST = "database.dump", "backup.json"


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def environment(home: Home) -> dict[str, str]:
    return {
        **os.environ,
        "CAUSEWAY_HOME": str(home.root),
        "DJANGO_SETTINGS_MODULE": "console.settings",
        "PYTHONPATH": str(ROOT),
    }


def program(name: str) -> str:
    """One of PostgreSQL's programs: the wheel's, or what is on the PATH."""
    from console.supervisor.postgres import binaries

    try:
        found: Path | str | None = binaries() / name
    except SystemExit:
        found = shutil.which(name)
    if found is None or not Path(found).exists():
        raise CannotStart(f"there is no {name}: install PostgreSQL's client programs")
    return str(found)


def asked_of_settings(home: Home) -> dict[str, Any]:
    """How the database is reached and where the objects are, as every process of this data directory is told."""
    question = (
        "import json; from django.conf import settings as s; d = s.DATABASES['default'];"
        "print(json.dumps({'database': {k: str(d[k]) for k in ('NAME', 'USER', 'PASSWORD', 'HOST', 'PORT')},"
        "'options': d['OPTIONS'], 'store': s.CAUSEWAY_STORE_URL}))"
    )
    done = subprocess.run([sys.executable, "-c", question], env=environment(home), capture_output=True, text=True)
    if done.returncode:
        raise CannotStart(f"the settings cannot be read: {done.stderr.strip().splitlines()[-1]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def call(name: str, database: dict[str, str], *arguments: str) -> None:
    """Run one of PostgreSQL's programs against the database. Raises CannotStart with its last line."""
    given = {"PGHOST": database["HOST"], "PGPORT": database["PORT"], "PGUSER": database["USER"]}
    env = {**os.environ, **{key: value for key, value in given.items() if value}, "PGPASSWORD": database["PASSWORD"]}
    done = subprocess.run([program(name), *arguments], env=env, capture_output=True, text=True)
    if done.returncode:
        raise CannotStart(f"{name} failed: {(done.stderr.strip().splitlines() or ['no output'])[-1]}")


@contextmanager
def server(home: Home) -> Iterator[None]:
    """The embedded PostgreSQL: the one that runs, else one for the time being. With DATABASE_URL it is somebody's."""
    if os.environ.get("DATABASE_URL") or running(home).get("postgres"):
        yield
        return
    held = preflight.lock(home)
    log = (home.logs / "postgres.log").open("ab")
    command = [sys.executable, "-m", "console.supervisor.postgres"]
    process = subprocess.Popen(command, env=environment(home), cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait(home, process)
        roles.prepare(home)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
        log.close()
        held.close()


def _wait(home: Home, process: subprocess.Popen[bytes], *, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    note = home.postgres / "postmaster.pid"
    while not (note.exists() and (note.read_text().splitlines()[7:8] or [""])[0].strip() == "ready"):
        if process.poll() is not None or time.monotonic() > deadline:
            raise CannotStart(f"postgres did not start, see {home.logs / 'postgres.log'}")
        time.sleep(0.1)


def backup(home: Home, target: Path) -> None:
    """Write a backup into `target`, a directory that must be new or empty. Causeway may run meanwhile.

    The database first: objects are written before the rows that name them, so every row finds its object.
    """
    if not home.admin_token.exists():
        raise CannotStart(f"{home.root} is no Causeway data directory")
    if target.exists() and any(target.iterdir()):
        raise CannotStart(f"{target} is not empty: a backup needs a directory of its own")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    told = asked_of_settings(home)
    with server(home):
        say("dumping the database")
        dump = target / DUMP
        call("pg_dump", told["database"], "--format=custom", f"--file={dump}", told["database"]["NAME"])
        dump.chmod(0o600)
    kept = target / "home"
    kept.mkdir(mode=0o700)
    for file in sorted(home.root.iterdir()):
        if file.is_file() and not file.is_symlink() and file.name not in NOT_KEPT and not file.name.startswith("."):
            shutil.copy2(file, kept / file.name)
    local = str(told["store"]).startswith("/")
    if local:
        say("copying the objects")
        _copy_tree(Path(told["store"]), target / "objects")
    made = {"format": FORMAT, "made_at": datetime.now(timezone.utc).isoformat(), "store": told["store"]}
    (target / MANIFEST).write_text(json.dumps(made, indent=2) + "\n")
    say(f"the backup is in {target}" + ("" if local else f"; the objects stay in {told['store']}"))


def _copy_tree(source: Path, target: Path) -> None:
    """Copy what is there; what goes away meanwhile was removed by its owner, and what is being written comes later."""
    target.mkdir(mode=0o700, exist_ok=True)
    for directory, _, files in os.walk(source):
        here = target / Path(directory).relative_to(source)
        here.mkdir(exist_ok=True)
        for name in files:
            if name.startswith(".partial-"):
                continue
            try:
                shutil.copy2(Path(directory) / name, here / name)
            except FileNotFoundError:
                continue


def restore(source: Path, home: Home) -> None:
    """Make a new data directory of a backup, at any path; `script/up --home` then starts it."""
    manifest = _manifest(source)
    if home.root.exists() and any(home.root.iterdir()):
        raise CannotStart(f"{home.root} is not empty: restore into a new data directory")
    preflight.check_home(home)
    for file in (source / "home").iterdir():
        shutil.copy2(file, home.root / file.name)
    preflight.check_data_version(home)
    told = asked_of_settings(home)
    old, new = str(manifest["store"]), str(told["store"])
    if old.startswith("/"):
        if not new.startswith("/"):
            raise CannotStart(f"the backup's objects lay in a directory, {new} is none: unset CAUSEWAY_STORE_URL")
        say("copying the objects")
        _copy_tree(source / "objects", Path(new))
    with server(home):
        say("restoring the database")
        _manage(home, "bootstrap", "--only-database")
        arguments = ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"]
        name = told["database"]["NAME"]
        call("pg_restore", told["database"], *arguments, f"--dbname={name}", str(source / DUMP))
        if old.startswith("/") and old != new:
            say("letting every address name the new place")
            _manage(home, "move_store", old, new)
    say(f"restored; start it with: script/up --home {home.root}")


def _manifest(source: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((source / MANIFEST).read_text())
    except (OSError, ValueError):
        raise CannotStart(f"{source} is no whole backup: there is no {MANIFEST} in it") from None
    if found.get("format") != FORMAT:
        raise CannotStart(f"{source} was made by another Causeway (format {found.get('format')}): use that one")
    return found


def _manage(home: Home, *arguments: str) -> None:
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    done = subprocess.run(command, env=environment(home), cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise CannotStart(f"manage.py {arguments[0]} failed: {(done.stderr.strip().splitlines() or ['no output'])[-1]}")


def main(arguments: Sequence[str]) -> int:
    verb, *rest = arguments
    parser = argparse.ArgumentParser(prog=f"script/{verb}")
    default = os.environ.get("CAUSEWAY_HOME") or str(ROOT / ".causeway")
    parser.add_argument("--home", default=default, help="data directory")
    parser.add_argument("directory", help="the backup: a new directory to write" if verb == "backup" else "the backup")
    found = parser.parse_args(rest)
    home, directory = Home(preflight.absolute(found.home)), preflight.absolute(found.directory)
    try:
        if verb == "backup":
            backup(home, directory)
        else:
            restore(directory, home)
    except CannotStart as error:
        print(f"script/{verb}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
