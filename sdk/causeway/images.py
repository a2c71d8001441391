"""Builds an ImageSpec as an environment of this machine, by uv: for the local executor, which has no containers.

Where CAUSEWAY_ENVIRONMENTS_DIR names the folder of the executor's machine (`<home>/environments`), flytekit takes this
builder for every ImageSpec that names none (`builder="causeway"` names it): `pyflyte register` locks what the spec asks
for, and makes the environment unless there is one of the same lock already. Two specs that come to the same share it.
For clusters see causeway.building.

    <folder>/<digest of the lock>/{bin/python, lock.txt}    <folder>/images/<digest of the image's name> -> ../<digest>
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from causeway import building
from causeway.dockerfiles import CannotBuild

FOLDER = "CAUSEWAY_ENVIRONMENTS_DIR"
IMAGES, LOCK, USED, READY = "images", "lock.txt", "used", "ready"
PRIORITY = 10  # flytekit's own builders have 1 to 5
SECONDS = 1800  # for an installation

# What only an image can have, and what to do instead.
_REFUSED = {
    "conda_packages": "conda packages cannot be had without conda: name packages of PyPI",
    "apt_packages": "packages of the operating system are the machine's: have them installed there",
    "base_image": "a base image cannot be run here",
    "cuda": "CUDA is the machine's, or comes with packages such as torch",
    "cudnn": "cuDNN is the machine's, or comes with packages such as torch",
    "commands": "commands of a Dockerfile cannot be run here",
    "copy": "files come with the code (`pyflyte register --copy auto`)",
    "entrypoint": "an entry point is an image's",
    "env": "variables belong into `@task(environment={...})`",
    "pip_secret_mounts": "secrets of a build are not supported",
}


@dataclass(frozen=True)
class Environment:
    digest: str
    path: Path
    packages: int
    used: float  # seconds since the epoch; 0: never
    images: int  # names that lead to it


def pin_of(image: str) -> str:
    """The name of the link that an image's name is kept as."""
    return hashlib.sha256(image.encode()).hexdigest()[:32]


def build(spec: Any, folder: Path) -> Path:
    """The environment's folder. Raises CannotBuild; any number of processes may build at once."""
    if refused := [f"{name}: {why}" for name, why in _REFUSED.items() if getattr(spec, name, None)]:
        raise CannotBuild(f"the ImageSpec {spec.name} cannot be an environment of this machine: {'; '.join(refused)}")
    version = spec.python_version or f"{sys.version_info.major}.{sys.version_info.minor}"
    options = _indices(spec)
    lock = _locked(spec, version, options)
    digest = hashlib.sha256(f"{version}\n{' '.join(options)}\n{lock}".encode()).hexdigest()[:32]
    place = folder / digest
    (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    with _alone(folder / f".{digest}.lock"):
        if not (place / READY).exists():
            _install(place, version, lock, options)
    _link(folder / IMAGES / pin_of(spec.image_name()), Path("..", digest))
    return place


def environments(folder: Path) -> list[Environment]:
    """Those that are whole, the longest unused first."""
    leads = [os.readlink(link).rpartition("/")[2] for link in (folder / IMAGES).glob("*") if link.is_symlink()]
    found = []
    for ready in folder.glob(f"*/{READY}"):
        place = ready.parent
        lines = (place / LOCK).read_text().splitlines()
        packages = sum(bool(line) and line[0] not in "# " for line in lines)
        used = max((one.stat().st_mtime for one in (ready, place / USED) if one.exists()), default=0.0)
        found.append(Environment(place.name, place, packages, used, leads.count(place.name)))
    return sorted(found, key=lambda one: one.used)


def prune(folder: Path, *, unused_days: float) -> list[Environment]:
    """Remove what no task and no registration used for so long; what was removed. Registering again makes it again."""
    since = time.time() - unused_days * 86400
    gone = [one for one in environments(folder) if one.used < since]
    for one in gone:
        with _alone(folder / f".{one.digest}.lock"):
            (one.path / READY).unlink(missing_ok=True)  # from now on nobody takes it for whole
            shutil.rmtree(one.path, ignore_errors=True)
    for link in (folder / IMAGES).glob("*"):
        if link.is_symlink() and not link.exists():
            link.unlink(missing_ok=True)
    return gone


def _indices(spec: Any) -> list[str]:
    # Not `--index-url`, over which uv takes the UV_DEFAULT_INDEX of this machine
    options = ["--default-index", spec.pip_index] if spec.pip_index else []
    for url in spec.pip_extra_index_url or []:
        options += ["--extra-index-url", url]
    return options


def _locked(spec: Any, version: str, options: list[str]) -> str:
    """Every package with its version: what was asked for, and what that needs; flytekit is always among it."""
    asked = list(spec.packages or [])
    if spec.requirements:
        asked += Path(spec.requirements).read_text().splitlines()
    if not any(line.replace("-", "_").lower().startswith("flytekit") for line in asked):
        import flytekit

        asked.append(f"flytekit=={flytekit.__version__}")
    said = _uv("pip", "compile", "--quiet", "--no-header", "--python-version", version, *options, "-", typed=asked)
    return "\n".join(line for line in said.splitlines() if line and not line.startswith((" ", "#")))


def _install(place: Path, version: str, lock: str, options: list[str]) -> None:
    shutil.rmtree(place, ignore_errors=True)
    _uv("venv", "--quiet", "--python", version, str(place))
    (place / LOCK).write_text(lock)
    # Compiled now: tasks have users of their own, who may not write here, and each of them would compile it all again.
    _uv("pip", "install", "--quiet", "--compile-bytecode", "--python", str(place), *options, "-r", str(place / LOCK))
    (place / READY).touch()


def _uv(*words: str, typed: list[str] | None = None) -> str:
    beside = Path(sys.executable).with_name("uv")
    program = str(beside) if beside.exists() else shutil.which("uv")
    if program is None:
        raise CannotBuild("environments are made by uv, which is not here: pip install uv")
    said = "\n".join(typed) if typed is not None else None
    done = subprocess.run(  # noqa: S603 - uv, with words of a spec that is the caller's own
        [program, *words], input=said, capture_output=True, text=True, timeout=SECONDS
    )
    if done.returncode:
        raise CannotBuild(f"uv {words[0]} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _link(place: Path, target: Path) -> None:
    """In one step, whoever reads it meanwhile."""
    partial = place.with_name(f".{place.name}.{uuid.uuid4().hex}")  # processes and threads do this at once
    partial.symlink_to(target)
    os.replace(partial, place)


def register() -> None:
    """Become flytekit's builder, where the environment says of what kind; a cluster's goes before this machine's."""
    if not (os.environ.get(building.BUILDER) or os.environ.get(FOLDER)):
        return
    import click
    from flytekit.image_spec.image_spec import ImageBuildEngine, ImageSpecBuilder

    def say(text: str) -> None:
        click.secho(text, fg="blue")

    class Builder(ImageSpecBuilder):  # type: ignore[misc]
        def should_build(self, image_spec: Any) -> bool:
            """Always: it asks for the lock, or the registry, and then knows."""
            return True

        def build_image(self, image_spec: Any) -> str:
            try:
                if settings := building.Settings.read():
                    return building.build(image_spec, settings, say)
                place = build(image_spec, Path(os.environ[FOLDER]))
            except CannotBuild as error:
                raise click.ClickException(str(error)) from None
            say(f"{image_spec.image_name()} is the environment {place.name}")
            return str(image_spec.image_name())

    ImageBuildEngine.register("causeway", Builder(), PRIORITY)
    if os.environ.get(building.BUILDER) and "union" not in ImageBuildEngine.get_registry():
        ImageBuildEngine.register("union", Builder(), -1)  # whom programs name that were written for Union's
