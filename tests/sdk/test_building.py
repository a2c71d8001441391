"""Builds of images as executions: which one counts, where they belong, and what a registry says."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from causeway import building, registries
from causeway.building import Build, Settings, choose, stem_of
from causeway.dockerfiles import CannotBuild
from causeway.registries import Answer
from flytekit import ImageSpec
from hypothesis import given
from hypothesis import strategies as st

PHASES = st.lists(st.sampled_from(["running", "succeeded", "failed"]), max_size=6)


@given(PHASES, st.sampled_from([True, False, None]), st.booleans())
def test_one_that_goes_on_or_is_done_counts_and_else_a_new_one(
    phases: list[str], there: bool | None, force: bool
) -> None:
    made = [Build(number, phase) for number, phase in enumerate(phases)]
    chosen = choose(lambda number: dict(enumerate(made)).get(number), lambda: Answer(there), force)
    useful = {"running"} if force or there is False else {"running", "succeeded"}
    first = next((one for one in made if one.phase in useful), None)
    assert chosen == (first or Build(len(made), "new"))


def test_the_registry_is_asked_only_about_an_image_that_was_built() -> None:
    def ask() -> Answer:
        raise AssertionError("asked")

    assert choose({0: Build(0, "failed")}.get, ask, False) == Build(1, "new")


def test_names_are_those_of_executions_and_differ_with_the_image() -> None:
    one, other = stem_of("registry.example/lab:a"), stem_of("registry.example/lab:b")
    assert one != other and one == stem_of("registry.example/lab:a")
    assert one.startswith("image-") and len(one) == 26


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"CAUSEWAY_IMAGE_SECRET": "registry"}, "CAUSEWAY_IMAGE_SECRET=registry: it is group/key"),
        ({"CAUSEWAY_IMAGE_PROJECT": "a/"}, "CAUSEWAY_IMAGE_PROJECT=a/: it is project/domain"),
    ],
)
def test_settings_that_are_none(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str) -> None:
    assert Settings.read() is None
    monkeypatch.setenv("CAUSEWAY_IMAGE_BUILDER", "registry.example/builder:1")
    assert Settings.read() == Settings("registry.example/builder:1")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CannotBuild, match=said):
        Settings.read()


def test_an_image_that_its_registry_has_is_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ImageSpec(name="lab", registry="registry.example", packages=["a"])
    monkeypatch.setattr(registries, "ask", lambda image: Answer(True, "sha256:" + "0" * 64))
    monkeypatch.setattr(building, "_remote", None)
    said: list[str] = []
    name = building.build(spec, Settings("builder"), said.append)
    assert name == f"registry.example/lab:{spec.tag}@sha256:{'0' * 64}"
    assert said == [f"registry.example/lab:{spec.tag} is in its registry"]


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("10.0.0.1:5000/team/lab:a", ("10.0.0.1:5000", "team/lab", "a")),
        ("ghcr.io/team/lab:a", ("ghcr.io", "team/lab", "a")),
        ("localhost/lab:a", ("localhost", "lab", "a")),
        ("team/lab:a", ("registry-1.docker.io", "team/lab", "a")),
        ("docker.io/python:3", ("registry-1.docker.io", "library/python", "3")),
    ],
)
def test_names_of_images(image: str, parts: tuple[str, str, str]) -> None:
    assert registries.split(image) == parts


class Registry:
    """Answers by scheme, and notes what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers, self.asked = answers, list[str]()

    def head(self, url: str, **_: Any) -> requests.Response:
        self.asked.append(url)
        status = self.answers[url.partition(":")[0]]
        if isinstance(status, Exception):
            raise status
        answer = requests.Response()
        answer.status_code = status
        answer.headers["Docker-Content-Digest"] = "sha256:" + "1" * 64
        return answer


@pytest.mark.parametrize(
    ("registry", "there"),
    [
        (Registry(https=200), True),
        (Registry(https=404), False),
        (Registry(https=401), None),
        (Registry(https=requests.exceptions.SSLError(), http=200), True),
        (Registry(https=requests.exceptions.ConnectionError(), http=200), None),
        (Registry(https=requests.exceptions.SSLError(), http=requests.exceptions.ReadTimeout()), None),
    ],
)
def test_what_a_registry_says(monkeypatch: pytest.MonkeyPatch, registry: Registry, there: bool | None) -> None:
    monkeypatch.setattr(requests, "head", registry.head)
    assert registries.ask("registry.example:5000/team/lab:a").there is there
    assert registry.asked[0] == "https://registry.example:5000/v2/team/lab/manifests/a"
