"""An ImageSpec as a folder that buildah makes an image of: a Dockerfile, and the files that it copies.

The files are laid out by flytekit's own builder. Its Dockerfile is not taken: that has Python come from conda-forge, by
way of images of Docker Hub and ghcr.io. Here Python is the base image's, and packages are installed into it by the uv
that the builder brings along. Everything else is as flytekit makes it: the program belongs into /root, tasks run as the
user flytekit, and the spec's id is in the image, which `is_container()` looks for.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

DEFAULT_BASE = "docker.io/library/python:{python_version}-slim"
ID = "_F_IMG_ID"  # flytekit's
# Where passwords are in addresses of indexes: the steps of a build are in its log, and in the image's history
INDEXES, _READ = "causeway-indexes.sh", "/tmp/causeway-indexes.sh"  # noqa: S108 - inside of the image, while it is built
_QUOTED = '"\\'
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# What buildah in a pod cannot do, or what would have to leave the client's machine, and what to do instead.
_REFUSED = {
    "conda_packages": "conda is not installed: name packages of PyPI, or a base_image that has them",
    "conda_channels": "conda is not installed: name packages of PyPI, or a base_image that has them",
    "cuda": "CUDA comes with packages such as torch, or with a base_image",
    "cudnn": "cuDNN comes with packages such as torch, or with a base_image",
    "pip_secret_mounts": "files of this machine do not go along: let the base_image know the index and its password",
    "registry_config": "passwords of registries are a secret (CAUSEWAY_IMAGE_SECRET)",
}


class CannotBuild(Exception):
    """The message says what cannot be had, and what instead."""


def check(spec: Any) -> None:
    """Raises CannotBuild for what no build can give, before anything is sent."""
    refused = [f"{name}: {why}" for name, why in _REFUSED.items() if getattr(spec, name, None)]
    if not spec.registry:
        refused.insert(0, "registry: name one that the cluster pulls from, or no pod will find the image")
    if os.path.basename(spec.requirements or "") == "poetry.lock":
        refused.append("requirements: poetry.lock is not read; export it (poetry export -o requirements.txt)")
    if "," in (spec.platform or ""):
        refused.append("platform: one at a time")
    for name, value in (spec.env or {}).items():
        if not _NAME.fullmatch(name) or re.search(r"[\r\n\0]", str(value)):
            refused.append(f"env: {name!r} is no name of a variable, or its value has several lines")
    if refused:
        raise CannotBuild(f"the ImageSpec {spec.name} cannot be built on the cluster: {'; '.join(refused)}")


def base_of(spec: Any, default: str = "") -> str:
    """The image that it begins with. `default`: of specs that name none; `{python_version}` is filled in."""
    version = spec.python_version or f"{sys.version_info.major}.{sys.version_info.minor}"
    return str(spec.base_image or (default or DEFAULT_BASE).replace("{python_version}", version))


def write(spec: Any, folder: Path, default_base: str = "") -> None:
    """Lay everything out in an empty folder. Raises CannotBuild."""
    check(spec)
    from flytekit.image_spec.default_builder import create_docker_context

    try:
        create_docker_context(spec, folder)
    except (ValueError, OSError) as error:
        raise CannotBuild(f"the ImageSpec {spec.name} cannot be built: {error}") from None
    if _has_passwords(spec):
        (folder / INDEXES).write_text(_indexes(spec))
    (folder / "Dockerfile").write_text(dockerfile(spec, base_of(spec, default_base)))


def dockerfile(spec: Any, base: str) -> str:
    return "\n".join(_steps(spec, base)) + "\n"


def _steps(spec: Any, base: str) -> Iterator[str]:
    yield f"FROM {base}"
    yield "USER root"
    yield "WORKDIR /root"
    if spec.apt_packages:
        install = f"apt-get install -y --no-install-recommends {' '.join(spec.apt_packages)}"
        yield f"RUN apt-get update && {install} && rm -rf /var/lib/apt/lists/*"
    yield "RUN id -u flytekit >/dev/null 2>&1 || PATH=$PATH:/usr/sbin:/sbin useradd --create-home flytekit"
    yield f"ENV {_variables({'PYTHONPATH': '/root', 'FLYTE_SDK_RICH_TRACEBACKS': '0', **(spec.env or {})})}"
    yield from _python(spec, base)
    if spec.entrypoint is not None:
        yield f"ENTRYPOINT {json.dumps(spec.entrypoint)}"
    if _copies_program(spec):
        yield "COPY --chown=flytekit ./src /root"
    for path in map(Path, spec.copy or ()):
        inside = path if path.is_dir() else path.parent
        yield f"COPY --chown=flytekit {json.dumps([path.as_posix(), f'/root/{inside.as_posix()}/'])}"
    if spec.commands:
        yield f"RUN {' && '.join(spec.commands)}"
    yield "RUN chown flytekit /root"
    yield "USER flytekit"
    yield f"ENV {ID}={spec.id}"  # last: all before it may be the same in images of several specs


def _python(spec: Any, base: str) -> Iterator[str]:
    """Packages into the Python that the base image has, of which nobody else is the keeper in a container."""
    python = spec.python_exec or "python3"
    absent = f"the base image {base} has no {python}: name one with Python, or its python_exec"
    yield f"RUN command -v {python} >/dev/null || {{ echo {_word(absent)} >&2; exit 1; }}"
    if spec.python_version:
        other = f"the ImageSpec asks for Python {spec.python_version}, and the base image {base} has"
        ask = "import sys; print('%d.%d.%d' % sys.version_info[:3])"
        yield (
            f'RUN found=$({python} -c "{ask}"); case $found. in {spec.python_version}.*) ;; '
            f'*) echo {_word(other)} "$found" >&2; exit 1 ;; esac'
        )
    sealed = _has_passwords(spec)
    # Not `--index-url`, over which uv takes the UV_DEFAULT_INDEX that a base image may have
    options = [f"--default-index {shlex.quote(spec.pip_index)}"] if spec.pip_index and not sealed else []
    options += [f"--extra-index-url {shlex.quote(url)}" for url in spec.pip_extra_index_url or () if not sealed]
    mount, uv = (f"--mount=type=bind,src={INDEXES},target={_READ} ", f". {_READ} && uv") if sealed else ("", "uv")
    options += [spec.pip_extra_args] if spec.pip_extra_args else []
    said = " ".join(["--no-cache", "--compile-bytecode", *options])
    if os.path.basename(spec.requirements or "") == "uv.lock":
        mounts = " ".join(f"--mount=type=bind,src={name},target=/root/{name}" for name in ("uv.lock", "pyproject.toml"))
        yield f"RUN {mount}{mounts} {uv} sync --python {python} --locked --no-dev --no-install-project {said}"
        yield 'ENV PATH="/root/.venv/bin:$PATH"'
        return
    if "/" in python:  # what is installed with it is found, too: flytekit's programs
        yield f"ENV {_variables({'PATH': f'{os.path.dirname(python)}:$PATH'})}"
    wanted = "/tmp/requirements_uv.txt"  # noqa: S108 - inside of the image, while it is built
    yield (
        f"RUN {mount}--mount=type=bind,src=requirements_uv.txt,target={wanted} "
        f'{uv} pip install --python "$(command -v {python})" --break-system-packages {said} --requirement {wanted}'
    )


def _has_passwords(spec: Any) -> bool:
    """Whether an address of an index has a user or a password in it."""
    return any("@" in urlsplit(url).netloc for url in (spec.pip_index or "", *(spec.pip_extra_index_url or ())))


def _indexes(spec: Any) -> str:
    """What uv reads in the place of its options."""
    told = {"UV_DEFAULT_INDEX": spec.pip_index or "", "UV_EXTRA_INDEX_URL": " ".join(spec.pip_extra_index_url or ())}
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in told.items() if value)


def _copies_program(spec: Any) -> bool:
    from flytekit.constants import CopyFileDetection

    return spec.source_copy_mode not in (None, CopyFileDetection.NO_COPY)


def _variables(values: dict[str, Any]) -> str:
    """As ENV wants them. `$NAME` is what it is in the image so far, as in every Dockerfile."""
    return " ".join(f"{name}={_word(str(value), special=_QUOTED)}" for name, value in values.items())


def _word(text: str, special: str = _QUOTED + "`$") -> str:
    """In double quotes, so that it is one word, and nothing in it is run."""
    return '"' + "".join("\\" + one if one in special else one for one in text) + '"'
