"""Builds of images as executions: which one counts, where they belong, and what a registry says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import requests
from causeway import building, registries
from causeway.building import Build, Settings, choose, stem_of
from causeway.dockerfiles import CannotBuild
from causeway.registries import Answer
from flytekit import ImageSpec
from flytekit.core.context_manager import FlyteEntities
from flytekit.exceptions.system import FlyteSystemUnavailableException
from flytekit.exceptions.user import (
    FlyteAssertion,
    FlyteEntityAlreadyExistsException,
    FlyteEntityNotExistException,
)
from flytekit.models.core.execution import WorkflowExecutionPhase as Phase
from hypothesis import given
from hypothesis import strategies as st
from requests.adapters import BaseAdapter

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


class Doors(BaseAdapter):
    """A registry that asks for a token of another host, and that host; notes who said who he was."""

    def __init__(self, given: object) -> None:
        super().__init__()
        self.given, self.said = given, list[tuple[str, str | None]]()

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        told = request.headers.get("Authorization")
        self.said.append((str(request.method), told))
        answer = requests.Response()
        answer.request, answer.url, answer.status_code = request, str(request.url), 200
        if request.method == "GET":
            answer._content = json.dumps(self.given).encode()
        elif told is None:
            answer.status_code = 401
            answer.headers["WWW-Authenticate"] = 'Bearer realm="https://tokens.example/t",service="s"'
        answer.headers["Docker-Content-Digest"] = DIGEST
        return answer

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("given", "there", "last"),
    [
        ({"token": "t"}, True, "Bearer t"),
        ({"access_token": "a"}, True, "Bearer a"),
        ({"token": None}, None, None),
        (["t"], None, None),
    ],
)
def test_a_registry_is_asked_as_anybody_whatever_passwords_the_machine_has(
    given: object, there: bool | None, last: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = ("registry.example", "tokens.example")
    (tmp_path / "netrc").write_text("".join(f"machine {host} login ann password secret\n" for host in hosts))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    doors = Doors(given)
    monkeypatch.setattr(requests.Session, "get_adapter", lambda *_, **__: doors)
    assert registries.ask("registry.example/team/lab:a").there is there
    asked = [("HEAD", None), ("GET", None)]
    assert doors.said == [*asked, *([("HEAD", last)] if last else [])]


class Causeway:
    """As much of FlyteRemote as a build needs; executions end as the test says, at the second look."""

    def __init__(self, *ends: str, others: int = 0) -> None:
        self.ends, self.started, self.looks = list(ends), list[str](), dict[str, int]()
        self.others = others  # executions that somebody else starts just before we do
        self.client = self
        self.refusal: Exception | None = None
        self.away = 0  # looks at an execution that nobody answers

    def get_execution(self, identifier: Any) -> Any:
        name = identifier.name
        if name not in self.looks:
            raise FlyteEntityNotExistException(name)
        self.looks[name] += 1
        if self.away:
            self.away -= 1
            raise FlyteSystemUnavailableException()
        end = self.ends[int(name.rpartition("-")[2])]
        phase = Phase.SUCCEEDED if end == "" else Phase.FAILED
        error = SimpleNamespace(message=end)
        phase = Phase.RUNNING if self.looks[name] < 2 else phase
        return SimpleNamespace(closure=SimpleNamespace(phase=phase, error=error, abort_metadata=None))

    def fetch_execution(self, project: str, domain: str, name: str) -> Any:
        return SimpleNamespace(outputs=SimpleNamespace(get=lambda *_: DIGEST + "\n"))

    def fetch_task(self, **_: Any) -> str:
        if self.refusal is not None:
            raise self.refusal
        return "task"

    def execute(self, task: str, inputs: dict[str, Any], *_: str, execution_name: str) -> None:
        assert task == "task" and inputs["image"].startswith("registry.example/lab:")
        self.looks[execution_name] = 0
        if self.others:
            self.others -= 1
            raise FlyteEntityAlreadyExistsException(execution_name)
        self.started.append(execution_name)

    def generate_console_url(self, identifier: Any) -> str:
        return f"https://causeway.example/{identifier.name}"


DIGEST = "sha256:" + "2" * 64


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Callable[[Causeway], str]:
    monkeypatch.setattr(registries, "ask", lambda image: Answer(None))
    monkeypatch.setattr(building, "PAUSE", 0)

    def run(causeway: Causeway) -> str:
        monkeypatch.setattr(building, "_remote", lambda project, domain: causeway)
        return building.build(SPEC, Settings("builder"), print)

    return run


SPEC = ImageSpec(name="lab", registry="registry.example", packages=["a"])
STEM = stem_of(f"registry.example/lab:{SPEC.tag}")


def test_what_was_pushed_is_registered_and_the_next_finds_it_done(build: Callable[[Causeway], str]) -> None:
    causeway = Causeway("")
    names = {build(causeway), build(causeway)}
    assert names == {f"registry.example/lab:{SPEC.tag}@{DIGEST}"} and causeway.started == [f"{STEM}-0"]


def test_one_that_somebody_else_starts_at_the_same_time_is_waited_for(build: Callable[[Causeway], str]) -> None:
    causeway = Causeway("", others=1)
    assert build(causeway).endswith(DIGEST) and causeway.started == []


def test_a_failure_is_told_with_its_log_and_the_next_tries_again(build: Callable[[Causeway], str]) -> None:
    causeway = Causeway("no such package", "")
    with pytest.raises(
        CannotBuild, match=f"was not built: no such package\nIts log: https://causeway.example/{STEM}-0"
    ):
        build(causeway)
    assert build(causeway).endswith(DIGEST) and causeway.started == [f"{STEM}-0", f"{STEM}-1"]


def test_a_server_that_is_away_for_a_while_does_not_end_the_wait(
    build: Callable[[Causeway], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    causeway = Causeway("", "")
    causeway.away = 3
    assert build(causeway).endswith(DIGEST)
    monkeypatch.setattr(building, "PATIENCE", -1)
    causeway = Causeway("", "")
    causeway.away = 3
    with pytest.raises(CannotBuild, match=f"how far the build is cannot be asked: .+\n.*{STEM}-0"):
        build(causeway)


def test_what_causeway_refuses_names_the_place(build: Callable[[Causeway], str]) -> None:
    causeway = Causeway("")
    causeway.refusal = FlyteAssertion("ann may not launch here")
    said = (
        r"cannot be built in flytesnacks/development \(CAUSEWAY_IMAGE_PROJECT says where\): .*ann may not launch here"
    )
    with pytest.raises(CannotBuild, match=said):
        build(causeway)


@pytest.mark.parametrize("options", [{"cores": 2}, {"mem": "1Gi", "gpu": 1}])
def test_options_of_a_build_that_there_are_not(build: Callable[[Causeway], str], options: dict[str, Any]) -> None:
    with pytest.raises(CannotBuild, match="is none of cpu, mem, ephemeral_storage"):
        building._task(Causeway(), SPEC.with_builder_options(options), Settings("builder"))


def test_the_task_of_a_build_is_no_part_of_the_program_that_is_registered() -> None:
    registered: list[Any] = []
    causeway = SimpleNamespace(
        fetch_task=Mock(side_effect=FlyteEntityNotExistException("none")),
        register_task=lambda task, settings, version: registered.append((task, settings, version)),
        default_project="p",
        default_domain="d",
    )
    before = list(FlyteEntities.entities)
    building._task(causeway, SPEC, Settings("builder:1", secret="registry/config"))
    assert before == FlyteEntities.entities
    ((task, settings, version),) = registered
    pod = task.get_k8s_pod(settings).pod_spec["containers"][0]
    assert (pod["image"], pod["securityContext"]) == ("builder:1", {"runAsUser": 0, "runAsNonRoot": False})
    (secret,) = task.security_context.secrets
    assert (secret.group, secret.key, secret.env_var) == ("registry", "config", "REGISTRY_AUTH_FILE")
    assert settings.version == version
