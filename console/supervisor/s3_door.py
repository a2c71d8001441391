"""An S3 door of this machine for pods that have no other object store: the objects lie in the data directory.

The server is versitygw: one program that keeps objects as files, so they can be looked at and copied as such.
A data directory that began with the door keeps it: its values say `s3://causeway/...`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from console.supervisor.clusters import clusters
from console.supervisor.errors import CannotStart
from console.supervisor.kept_secrets import kept_secret
from console.supervisor.paths import Home

VERSION = "1.0.14"
MODULE = "github.com/versity/versitygw/cmd/versitygw"
BUCKET = "causeway"
PORT = 7480  # of Ceph's S3 door
REGION = "us-east-1"
HOW = (
    f"it needs the program versitygw {VERSION}: on the PATH, named by CAUSEWAY_VERSITYGW, or Go, to build it, "
    "on the PATH; or set CAUSEWAY_STORE_URL to a store of yours"
)


@dataclass(frozen=True)
class Door:
    program: str
    host: str
    port: int
    home: Home

    @property
    def url(self) -> str:
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    def command(self) -> list[str]:
        notes = [] if self._keeps_notes() else ["--sidecar", str(self.home.root / "s3-notes")]
        place = self.url.removeprefix("http://")
        return [
            self.program,
            "--quiet",
            "--port",
            place,
            "--region",
            REGION,
            "posix",
            *notes,
            str(self.home.objects_door),
        ]

    def _keeps_notes(self) -> bool:
        """Whether files here can have notes of their own (extended attributes); else they lie beside."""
        try:
            os.setxattr(self.home.objects_door, "user.causeway", b"1")
        except (OSError, AttributeError):
            (self.home.root / "s3-notes").mkdir(mode=0o700, exist_ok=True)
            return False
        return True

    def environment(self) -> dict[str, str]:
        """With which every process reaches the store."""
        keys = {"AWS_ACCESS_KEY_ID": "causeway", "AWS_SECRET_ACCESS_KEY": kept_secret(self.home.root, "s3-key")}
        places = {"CAUSEWAY_STORE_URL": f"s3://{BUCKET}", "AWS_ENDPOINT_URL": self.url}
        return {**places, **keys, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}

    def keys(self) -> dict[str, str]:
        """As the server wants them."""
        told = self.environment()
        return {
            "ROOT_ACCESS_KEY_ID": told["AWS_ACCESS_KEY_ID"],
            "ROOT_SECRET_ACCESS_KEY": told["AWS_SECRET_ACCESS_KEY"],
        }

    def is_open(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), timeout=1).close()
        except OSError:
            return False
        return True


def door(home: Home, env: Mapping[str, str], asked: str, *, say: Callable[[str], None]) -> Door | None:
    """`asked`: ADDRESS or ADDRESS:PORT, `auto`, or nothing. None: there is another store, or nobody needs it.

    Raises CannotStart where it was asked for, or is what the data directory has, and cannot be.
    """
    began = home.s3_door.exists()
    if env.get("CAUSEWAY_STORE_URL"):
        if asked:
            raise CannotStart("--s3-door is for machines without an object store, and CAUSEWAY_STORE_URL names one")
        return None
    if not (asked or began or clusters(env)):
        return None
    if not began and _has_objects(home):
        said = (
            f"{home.root} has objects in a folder already, which the S3 door would not show: begin with another --home"
        )
        if asked:
            raise CannotStart(said)
        say(f"no S3 door for pods: {said}")
        return None
    try:
        program = _program(say)
    except CannotStart as why:
        if asked or began:
            raise
        say(f"no S3 door for pods: {why}")
        return None
    host, port = _place(home, env, asked)
    found = Door(program, host, port, home)
    (home.objects_door / BUCKET).mkdir(mode=0o700, parents=True, exist_ok=True)
    home.objects_door.chmod(0o700)
    home.s3_door.write_text(found.url.removeprefix("http://") + "\n")
    home.s3_door.chmod(0o600)
    say(f"object store: Causeway's own S3 door at {found.url}, bucket {BUCKET}, objects in {home.objects_door}")
    return found


def _has_objects(home: Home) -> bool:
    folder = home.root / "objects"
    return folder.is_dir() and any(folder.iterdir())


def _program(say: Callable[[str], None]) -> str:
    named = os.environ.get("CAUSEWAY_VERSITYGW")
    if named:
        if found := shutil.which(named):
            return found
        raise CannotStart(f"CAUSEWAY_VERSITYGW: {named} is no program")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "causeway"
    kept = cache / "bin" / f"versitygw-{VERSION}" / "versitygw"
    for place in (kept, cache / "cluster" / "bin" / f"versitygw-{VERSION}" / "versitygw"):
        if os.access(place, os.X_OK):
            return str(place)
    if found := shutil.which("versitygw"):
        return found
    go = shutil.which("go")
    if go is None:
        raise CannotStart(HOW)
    say(f"building the S3 door (versitygw {VERSION}, some minutes, once)")
    env = {**os.environ, "GOBIN": str(kept.parent), "CGO_ENABLED": "0"}
    done = subprocess.run([go, "install", f"{MODULE}@v{VERSION}"], env=env, capture_output=True, text=True)
    if done.returncode or not kept.exists():
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise CannotStart(f"versitygw could not be built ({last}); {HOW}")
    return str(kept)


def _place(home: Home, env: Mapping[str, str], asked: str) -> tuple[str, int]:
    """Its address and port: as asked for, as before, or the address by which this machine reaches the cluster."""
    before = _split(home.s3_door.read_text().strip()) if home.s3_door.exists() else ("", 0)
    host, port = _split("" if asked == "auto" else asked)
    host = host or before[0] or _own_address(env)
    if port:
        return host, port
    for candidate in filter(None, (before[1], PORT)):
        if _is_free(host, candidate):
            return host, candidate
    if before[1]:  # an interrupted run may be about to leave it
        return host, before[1]
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return host, int(probe.getsockname()[1])


def _split(text: str) -> tuple[str, int]:
    if not text:
        return "", 0
    told = urlsplit(f"//{text}" if text.count(":") < 2 or text.startswith("[") else f"//[{text}]")
    try:
        if not told.hostname:
            raise ValueError
        return told.hostname, told.port or 0
    except ValueError:
        raise CannotStart(f"--s3-door: {text!r} is no ADDRESS or ADDRESS:PORT of this machine") from None


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _own_address(env: Mapping[str, str]) -> str:
    """Of this machine, as the cluster sees it; where that runs here, as the rest of the network does."""
    for server in filter(None, (_server(one.kubeconfig, one.context) for one in clusters(env))):
        told = urlsplit(server)
        found = _towards(told.hostname or "", told.port or 443)
        if found and not found.startswith("127.") and found != "::1":
            return found
    found = _towards("192.0.2.1", 9)
    if not found or found.startswith("127."):
        raise CannotStart("--s3-door ADDRESS: this machine has no address that pods would reach by itself; name one")
    return found


def _towards(host: str, port: int) -> str:
    """The own address of a connection to there. Nothing is sent."""
    try:
        for family, kind, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM):
            with socket.socket(family, kind) as probe:
                probe.connect(address)
                return str(probe.getsockname()[0])
    except OSError:
        pass
    return ""


def _server(kubeconfig: str, context: str) -> str:
    """The address of the API in a kubeconfig; empty where it has none that is understood: the executor says more."""
    import yaml  # noqa: PLC0415 - here, because most starts read none

    try:
        told: Any = yaml.safe_load(Path(kubeconfig).read_text(encoding="utf-8")) if kubeconfig else None
        chosen = context or told["current-context"]
        cluster = next(one["context"]["cluster"] for one in told["contexts"] if one["name"] == chosen)
        return str(next(one["cluster"]["server"] for one in told["clusters"] if one["name"] == cluster))
    except (OSError, yaml.YAMLError, TypeError, KeyError, StopIteration):
        return ""
