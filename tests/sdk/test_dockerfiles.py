"""ImageSpecs as folders that buildah builds: the Dockerfile's text, the files beside it, and what cannot be had."""

from __future__ import annotations

import shlex
import subprocess
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from causeway.dockerfiles import CannotBuild, base_of, check, dockerfile, write
from flytekit import ImageSpec
from flytekit.constants import CopyFileDetection
from hypothesis import given
from hypothesis import strategies as st


def spec(**options: Any) -> ImageSpec:
    return ImageSpec(**{"name": "lab", "registry": "registry.example/team", "packages": ["a==1"], **options})


def test_a_plain_spec(tmp_path: Path) -> None:
    plain = spec()
    write(plain, tmp_path, "example/python:{python_version}")
    version = base_of(plain, "{python_version}")
    assert (tmp_path / "Dockerfile").read_text().splitlines() == [
        f"FROM example/python:{version}",
        "USER root",
        "WORKDIR /root",
        "RUN id -u flytekit >/dev/null 2>&1 || PATH=$PATH:/usr/sbin:/sbin useradd --create-home flytekit",
        'ENV PYTHONPATH="/root" FLYTE_SDK_RICH_TRACEBACKS="0"',
        "RUN command -v python3 >/dev/null || { echo "
        f'"the base image example/python:{version} has no python3: name one with Python, or its python_exec" '
        ">&2; exit 1; }",
        "RUN --mount=type=bind,src=requirements_uv.txt,target=/tmp/requirements_uv.txt "
        'uv pip install --python "$(command -v python3)" --break-system-packages --no-cache --compile-bytecode '
        "--requirement /tmp/requirements_uv.txt",
        "RUN chown flytekit /root",
        "USER flytekit",
        f"ENV _F_IMG_ID={plain.id}",
    ]
    packages = (tmp_path / "requirements_uv.txt").read_text().split()
    assert packages[0] == "a==1" and packages[1].startswith("flytekit")


def test_all_that_a_spec_can_say_is_in_it_in_flytekits_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "words.txt").write_text("words")
    (tmp_path / "one.txt").write_text("one")
    (tmp_path / "requirements.txt").write_text("b==2\n")
    whole = spec(
        base_image="registry.example/base:2",
        python_version="3.12",
        requirements="requirements.txt",
        apt_packages=["git", "curl"],
        env={"WHERE": "$HOME/here", "SAID": 'a "b" `c`'},
        pip_index="https://index.example/simple",
        pip_extra_index_url=["https://other.example/simple?a=1&b=2"],
        pip_extra_args="--no-deps",
        python_exec="/opt/bin/python",
        copy=["data", "one.txt"],
        commands=["mkdir /x", "touch /x/y"],
        entrypoint=["tini", "--"],
        source_root=str(tmp_path / "data"),
        source_copy_mode=CopyFileDetection.ALL,
    )
    (tmp_path / "context").mkdir()
    write(whole, tmp_path / "context")
    text = (tmp_path / "context" / "Dockerfile").read_text()
    parts = [
        "FROM registry.example/base:2",
        "apt-get install -y --no-install-recommends git curl",
        r'WHERE="$HOME/here" SAID="a \"b\" `c`"',
        "command -v /opt/bin/python",
        "case $found. in 3.12.*)",
        'ENV PATH="/opt/bin:$PATH"',
        "--default-index https://index.example/simple",
        "--extra-index-url 'https://other.example/simple?a=1&b=2' --no-deps",
        'ENTRYPOINT ["tini", "--"]',
        "COPY --chown=flytekit ./src /root",
        'COPY --chown=flytekit ["data", "/root/data/"]',
        'COPY --chown=flytekit ["one.txt", "/root/./"]',
        "RUN mkdir /x && touch /x/y",
        "USER flytekit",
        f"ENV _F_IMG_ID={whole.id}",
    ]
    found = [text.index(part) for part in parts]
    assert found == sorted(found)
    laid = {str(path.relative_to(tmp_path / "context")) for path in (tmp_path / "context").rglob("*") if path.is_file()}
    assert {"data/words.txt", "one.txt", "src/words.txt", "requirements_uv.txt"} <= laid


def test_a_lock_of_uv_is_installed_as_it_is(tmp_path: Path) -> None:
    for name in ("uv.lock", "pyproject.toml"):
        (tmp_path / name).write_text("")
    locked = spec(packages=None, requirements=str(tmp_path / "uv.lock"))
    (tmp_path / "context").mkdir()
    with pytest.warns(UserWarning, match="experimental"):
        write(locked, tmp_path / "context")
    text = (tmp_path / "context" / "Dockerfile").read_text()
    assert "uv sync --python python3 --locked" in text and 'ENV PATH="/root/.venv/bin:$PATH"' in text
    assert (tmp_path / "context" / "uv.lock").exists()


@pytest.mark.parametrize("lock", [False, True])
def test_passwords_of_indexes_are_in_no_step_which_logs_and_the_image_would_show(lock: bool, tmp_path: Path) -> None:
    for name in ("uv.lock", "pyproject.toml"):
        (tmp_path / name).write_text("")
    whence: dict[str, Any] = {"packages": None, "requirements": str(tmp_path / "uv.lock")} if lock else {}
    own, other = "https://ann:it's secret@index.example/simple", "https://token@other.example/simple"
    (tmp_path / "context").mkdir()
    with pytest.warns(UserWarning, match="experimental") if lock else nullcontext():
        write(spec(pip_index=own, pip_extra_index_url=[other, "https://third.example"], **whence), tmp_path / "context")
    text = (tmp_path / "context" / "Dockerfile").read_text()
    assert "secret" not in text and "token" not in text
    (step,) = [line for line in text.splitlines() if " && uv " in line]
    assert step.startswith("RUN --mount=type=bind,src=causeway-indexes.sh,target=/tmp/causeway-indexes.sh --mount=")
    assert ". /tmp/causeway-indexes.sh && uv " in step
    show = 'echo "$UV_DEFAULT_INDEX|$UV_EXTRA_INDEX_URL"'
    said = ["sh", "-c", f". ./causeway-indexes.sh && {show}"]
    read = subprocess.run(said, cwd=tmp_path / "context", capture_output=True)  # noqa: S603
    assert read.stdout.decode() == f"{own}|{other} https://third.example\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"registry": None}, "registry: name one that the cluster pulls from"),
        ({"conda_packages": ["x"]}, "conda_packages: conda is not installed"),
        ({"cuda": "12"}, "cuda: CUDA comes with packages"),
        ({"pip_secret_mounts": [("a", "b")]}, "files of this machine do not go along"),
        ({"registry_config": "x.json"}, "CAUSEWAY_IMAGE_SECRET"),
        ({"requirements": "poetry.lock"}, "poetry.lock is not read"),
        ({"platform": "linux/amd64,linux/arm64"}, "platform: one at a time"),
        ({"env": {"A": "b\nc"}}, "its value has several lines"),
        ({"env": {"A B": "c"}}, "'A B' is no name of a variable"),
    ],
)
def test_what_cannot_be_built_is_said_before_anything_is_sent(options: dict[str, Any], said: str) -> None:
    with pytest.raises(CannotBuild, match=said):
        check(spec(**options))


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(CannotBuild, match="the ImageSpec lab cannot be built: .*absent.txt"):
        write(spec(requirements=str(tmp_path / "absent.txt")), tmp_path)


values = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=12)


@given(st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,5}", fullmatch=True), values, min_size=1, max_size=4))
def test_variables_come_out_as_they_went_in(variables: dict[str, str]) -> None:
    """Read as a shell reads words: buildah does the same with ENV. What is after a `$` is the image's to fill in."""
    (line,) = [line for line in dockerfile(spec(env=variables), "b").split("\n") if line.startswith("ENV PYTHONPATH")]
    read = dict(word.split("=", 1) for word in shlex.split(line)[1:])
    assert read == {"PYTHONPATH": "/root", "FLYTE_SDK_RICH_TRACEBACKS": "0"} | variables
