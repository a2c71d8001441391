"""Which Python runs a task: the executor's own, or the one that its image stands for on this machine."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


class BadEnvironments(ValueError):
    """The setting cannot be read, or names a Python that is not there."""


def parse(text: str) -> dict[str, str]:
    """`image=python,image=python`: an image with or without its tag, and the path of an interpreter with flytekit.

    The path is kept as it is written: a virtual environment is known by its link. Raises BadEnvironments.
    """
    found: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        image, equals, python = (part.strip() for part in pair.partition("="))
        if not (image and equals and os.path.isabs(python)):
            raise BadEnvironments(f"CAUSEWAY_ENVIRONMENTS: {pair!r} is not image=/path/of/python")
        if not os.access(python, os.X_OK):
            raise BadEnvironments(f"CAUSEWAY_ENVIRONMENTS: there is no Python at {python}, for {image}")
        found[image] = python
    return found


def check(environments: Mapping[str, str]) -> None:
    """Raises BadEnvironments unless each Python can import flytekit: its tasks would wait for ever."""
    for image, python in environments.items():
        tried = subprocess.run(  # noqa: S603 - an interpreter that the operator named
            [python, "-c", "import flytekit"], capture_output=True, text=True, timeout=120
        )
        if tried.returncode:
            said = (tried.stderr.strip().splitlines() or ["it says nothing"])[-1]
            raise BadEnvironments(f"CAUSEWAY_ENVIRONMENTS: {python}, for {image}, has no flytekit: {said}")


def python_for(image: str, environments: Mapping[str, str], built: Path | None = None) -> str:
    """The image itself counts before what was built of its ImageSpec, and that before the image without its tag or
    digest; what is not named runs in our own Python. `built`: the folder that causeway.images builds in.
    """
    if image in environments:
        return environments[image]
    if python := _python_built(image, built):
        return python
    name, tag = image.partition("@")[0], image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    untagged = name.removesuffix(f":{tag}") if tag else name
    return environments.get(image) or environments.get(name) or environments.get(untagged) or sys.executable


def built_at(folder: Path | None) -> int:
    """When an image's environment was last named in the folder, in nanoseconds; 0: never."""
    try:
        return os.stat(folder / "images").st_mtime_ns if folder is not None else 0
    except OSError:
        return 0


def _python_built(image: str, folder: Path | None) -> str:
    """Of the environment that the image's name leads to, which is noted as used; empty: there is none that is whole."""
    if folder is None or not image:
        return ""
    link = folder / "images" / hashlib.sha256(image.encode()).hexdigest()[:32]  # causeway.images.pin_of
    try:
        place = folder / os.readlink(link).rpartition("/")[2]
    except OSError:
        return ""
    if not (place / "ready").exists():
        return ""
    with contextlib.suppress(OSError):
        (place / "used").touch()
    return str(place / "bin" / "python")
