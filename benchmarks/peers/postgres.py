"""Runs another PostgreSQL in the foreground, with Causeway's settings: `python -m peers.postgres FOLDER_OF_PROGRAMS`.

For peers that need extensions: the server that comes with Causeway has none. Settings that this release does not know
are left out.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

from console.supervisor import postgres
from console.supervisor.paths import Home


def with_extension(name: str) -> Path:
    """The programs of the newest PostgreSQL of this machine that has it, as Debian installs them."""
    for programs in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        said = subprocess.run([programs / "pg_config", "--sharedir"], capture_output=True, text=True, check=True)
        if Path(said.stdout.strip(), "extension", f"{name}.control").exists():
            return programs
    raise SystemExit(f"no PostgreSQL with {name} below /usr/lib/postgresql; on Debian: apt install postgresql-contrib")


def main() -> None:
    home, programs = Home(Path(os.environ["CAUSEWAY_HOME"])), Path(sys.argv[1])
    sockets, user = home.postgres_sockets, pwd.getpwuid(os.geteuid()).pw_name
    if os.geteuid() == 0:
        postgres.step_down(home, programs)
    home.postgres.mkdir(exist_ok=True, mode=0o700)
    os.chdir(home.postgres)
    if not (home.postgres / "PG_VERSION").exists():
        options = ["--auth=reject", "--encoding=UTF8", "--locale=C.UTF-8", "--username=postgres"]
        subprocess.run([programs / "initdb", *options, "--pgdata", home.postgres], check=True)
    postgres.say_who_may_connect(home.postgres, user, readers=False)
    told = subprocess.run([programs / "postgres", "--describe-config"], capture_output=True, text=True, check=True)
    known = {line.partition("\t")[0] for line in told.stdout.splitlines()}
    settings = [f"--{name}={value}" for name, value in postgres.SETTINGS.items() if name in known]
    server = str(programs / "postgres")
    os.execv(server, [server, "-D", str(home.postgres), "-k", str(sockets), *settings])  # noqa: S606


if __name__ == "__main__":
    main()
