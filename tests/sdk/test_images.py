"""ImageSpecs as environments of this machine: one for each lock, made once whoever asks, and what cannot be had."""

from __future__ import annotations

import json
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import pytest
from causeway import building, images
from causeway.cli import main
from causeway.dockerfiles import CannotBuild
from causeway.images import build, environments, pin_of, prune
from click.testing import CliRunner
from flytekit import ImageSpec
from flytekit.image_spec.image_spec import ImageBuildEngine


@pytest.fixture
def uv(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Stands for uv where an installation would need the network: locks are what was asked for, sorted."""
    asked: list[list[str]] = []

    def run(*words: str, typed: list[str] | None = None) -> str:
        asked.append(list(words))
        if words[:2] == ("pip", "compile"):
            return "# made by uv\n" + "\n".join(sorted({line.split(" ")[0] for line in typed or [] if line}))
        if words[0] == "venv":
            (Path(words[-1]) / "bin").mkdir(parents=True)
            time.sleep(0.05)
        return ""

    monkeypatch.setattr(images, "_uv", run)
    return asked


def spec(*packages: str, **options: Any) -> ImageSpec:
    return ImageSpec(name="lab", packages=list(packages), **options)


def test_the_same_lock_is_one_environment_that_is_made_once(uv: list[list[str]], tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        places = set(pool.map(lambda _: build(spec("a==1", "b==2"), tmp_path), range(4)))
    places.add(build(spec("b==2", "a==1", registry="other.example.org"), tmp_path))
    assert len(places) == 1 and sum(words[0] == "venv" for words in uv) == 1
    assert build(spec("a==2"), tmp_path) not in places
    assert build(spec("a==1", "b==2", python_version="3.12"), tmp_path) not in places
    link = tmp_path / "images" / pin_of(spec("a==1", "b==2").image_name())
    assert link.resolve() in places
    (lock,) = places
    assert "flytekit==" in (lock / "lock.txt").read_text()


def test_requirements_count_and_flytekit_is_added_once(uv: list[list[str]], tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("flytekit==1.16.0\nb==2\n")
    place = build(spec("a==1", requirements=str(tmp_path / "requirements.txt")), tmp_path / "made")
    assert (place / "lock.txt").read_text().split() == ["a==1", "b==2", "flytekit==1.16.0"]


def test_the_index_of_a_spec_goes_before_that_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real uv takes UV_DEFAULT_INDEX for more than `--index-url`."""
    for name, value in (("UV_DEFAULT_INDEX", "http://127.0.0.1:1/machine"), ("UV_HTTP_RETRIES", "0")):
        monkeypatch.setenv(name, value)
    with pytest.raises(CannotBuild, match="127.0.0.1:1/spec/"):
        build(spec("nothing", pip_index="http://127.0.0.1:1/spec"), tmp_path)


def test_one_that_broke_off_is_made_again(uv: list[list[str]], tmp_path: Path) -> None:
    place = build(spec("a==1"), tmp_path)
    (place / "ready").unlink()
    assert environments(tmp_path) == []
    assert build(spec("a==1"), tmp_path) == place and sum(words[0] == "venv" for words in uv) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"conda_packages": ["x"]}, "conda packages cannot be had"),
        ({"apt_packages": ["x"]}, "are the machine's"),
        ({"base_image": "debian"}, "a base image cannot be run here"),
        ({"commands": ["x"]}, "commands of a Dockerfile"),
        ({"env": {"A": "b"}}, "belong into `@task"),
    ],
)
def test_what_only_an_image_can_have_is_refused_with_the_way_out(
    uv: list[list[str]], tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(CannotBuild, match=said):
        build(spec("a==1", **options), tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_nobody_used_is_removed_with_the_names_that_led_there(uv: list[list[str]], tmp_path: Path) -> None:
    old, new = build(spec("a==1"), tmp_path), build(spec("a==2"), tmp_path)
    for file in (old / "ready", new / "ready"):
        os.utime(file, (1, 1))
    (new / "used").touch()
    command = ["environment", "prune", "--folder", str(tmp_path), "--days", "1", "--json"]
    assert json.loads(CliRunner().invoke(main, command).stdout) == {"removed": [old.name]}
    assert [one.path for one in environments(tmp_path)] == [new]
    assert len(list((tmp_path / "images").iterdir())) == 1
    assert prune(tmp_path, unused_days=1) == []
    listed = CliRunner().invoke(main, ["environment", "list", "--folder", str(tmp_path), "--json"]).stdout
    assert json.loads(listed)[0]["environment"] == new.name


def test_flytekit_takes_it_where_the_folder_is_named(
    uv: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dict(ImageBuildEngine._REGISTRY)
    monkeypatch.setattr(ImageBuildEngine, "_REGISTRY", dict(before))
    images.register()
    assert before == ImageBuildEngine._REGISTRY
    monkeypatch.setenv("CAUSEWAY_ENVIRONMENTS_DIR", str(tmp_path))
    images.register()
    made = spec("c==3")
    assert made.builder == "causeway"
    ImageBuildEngine.build(made)
    assert (tmp_path / "images" / pin_of(made.image_name())).exists()


@pytest.mark.parametrize("name", [None, "causeway", "union"])
def test_a_builder_on_the_cluster_goes_before_this_machine_whatever_name_a_program_calls_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    monkeypatch.setattr(ImageBuildEngine, "_REGISTRY", dict(ImageBuildEngine._REGISTRY))
    monkeypatch.setattr(building, "build", lambda spec, settings, say: f"{spec.image_name()}@sha256:1")
    monkeypatch.setenv("CAUSEWAY_ENVIRONMENTS_DIR", str(tmp_path))
    monkeypatch.setenv("CAUSEWAY_IMAGE_BUILDER", "registry.example/builder:1")
    images.register()
    made = spec(f"d=={name}", registry="registry.example", builder=name)
    plain = made.image_name()
    ImageBuildEngine.build(made)
    assert made.image_name() == f"{plain}@sha256:1"
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_built_there_ends_the_registration_with_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageBuildEngine, "_REGISTRY", dict(ImageBuildEngine._REGISTRY))
    monkeypatch.setenv("CAUSEWAY_IMAGE_BUILDER", "registry.example/builder:1")
    images.register()
    with pytest.raises(click.ClickException, match="the ImageSpec lab cannot be built on the cluster: registry: name"):
        ImageBuildEngine.build(spec("e==1"))


@pytest.mark.e2e
def test_uv_makes_one_that_runs_and_says_what_it_cannot_find(tmp_path: Path) -> None:
    with pytest.raises(CannotBuild, match="uv pip failed"):
        build(spec("there-is-no-such-package-of-anybody==99"), tmp_path)
    place = build(spec("tabulate==0.9.0"), tmp_path)
    said = subprocess.run(
        [place / "bin" / "python", "-c", "import flytekit, tabulate; print(tabulate.__version__)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "0.9.0"
