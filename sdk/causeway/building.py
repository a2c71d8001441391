"""Builds an ImageSpec on the cluster: as an execution like any other, whose task runs buildah in a pod, and pushes it.

Nobody needs a Docker daemon: flytekit's client sends the Dockerfile and its files (causeway.dockerfiles), and waits.
Where CAUSEWAY_IMAGE_BUILDER names the image that builds (buildah and uv in it), flytekit takes this builder for every
ImageSpec that names none. One image is one execution, named after it: who registers the same spec meanwhile waits for
the same one, and who does so later finds it done. After a failure the next registration tries again.

    image-<digest of the image's name>-<0, 1, 2 ...>    inputs: image, platform, base, context    output: digest
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from causeway import registries
from causeway.dockerfiles import CannotBuild, base_of, check, write

BUILDER, SECRET, PLACE = "CAUSEWAY_IMAGE_BUILDER", "CAUSEWAY_IMAGE_SECRET", "CAUSEWAY_IMAGE_PROJECT"
TASK = "causeway.images.build"
INPUTS, OUTPUTS = "/var/inputs", "/var/outputs"
CONTAINER = "build"
PAUSE = 1.0
PATIENCE = 60.0  # with a server that does not answer while a build goes on
RESOURCES = {"cpu": "1", "mem": "2Gi"}  # unless `builder_options` of the spec say otherwise
OPTIONS = (*RESOURCES, "ephemeral_storage")


@dataclass(frozen=True)
class Settings:
    builder: str  # image
    base: str = ""  # image, of specs that name none
    secret: str = ""  # group/key of a Docker configuration with passwords of registries
    place: str = ""  # project/domain that builds belong to

    @classmethod
    def read(cls) -> Settings | None:
        """None where images are not built on a cluster."""
        given = cls(
            os.environ.get("CAUSEWAY_IMAGE_BUILDER", ""),
            os.environ.get("CAUSEWAY_IMAGE_BASE", ""),
            os.environ.get("CAUSEWAY_IMAGE_SECRET", ""),
            os.environ.get("CAUSEWAY_IMAGE_PROJECT", ""),
        )
        if not given.builder:
            return None
        for name, text in ((SECRET, given.secret), (PLACE, given.place)):
            if text and (text.count("/") != 1 or not all(text.split("/"))):
                said = "group/key" if name == SECRET else "project/domain"
                raise CannotBuild(f"{name}={text}: it is {said}")
        return given


@dataclass(frozen=True)
class Build:
    """How far an execution is that builds."""

    number: int
    phase: str  # running, succeeded, failed
    digest: str = ""
    why: str = ""


def stem_of(image: str) -> str:
    return f"image-{hashlib.sha256(image.encode()).hexdigest()[:20]}"


def choose(builds: Callable[[int], Build | None], registry: Callable[[], registries.Answer], force: bool) -> Build:
    """The build that has, or will have, the image: one to wait for, one that is done, or a `new` one to be started.

    `builds`: what there is of a number. What the registry says it does not have is built again.
    """
    for number in itertools.count():
        found = builds(number)
        if found is None:
            return Build(number, "new")
        if found.phase == "running":
            return found
        if found.phase == "succeeded" and not force and registry().there is not False:
            return found
    raise AssertionError("numbers do not end")


class Executions:
    """Of builds, through flytekit's own door."""

    def __init__(self, remote: Any, project: str, domain: str, image: str) -> None:
        self.remote, self.project, self.domain = remote, project, domain
        self.stem = stem_of(image)

    def url(self, number: int) -> str:
        return str(self.remote.generate_console_url(self._id(number)))

    def look(self, number: int) -> Build | None:
        from flytekit.exceptions.user import FlyteEntityNotExistException
        from flytekit.models.core.execution import WorkflowExecutionPhase as Phase

        try:
            closure = self.remote.client.get_execution(self._id(number)).closure
        except FlyteEntityNotExistException:
            return None
        if closure.phase == Phase.SUCCEEDED:
            execution = self.remote.fetch_execution(self.project, self.domain, f"{self.stem}-{number}")
            return Build(number, "succeeded", execution.outputs.get("digest", str).strip())
        if closure.phase in (Phase.FAILED, Phase.TIMED_OUT, Phase.ABORTED):
            aborted = getattr(closure.abort_metadata, "cause", "") if closure.abort_metadata else ""
            said = f"it was aborted: {aborted}" if aborted else getattr(closure.error, "message", "") or "it failed"
            return Build(number, "failed", why=said)
        return Build(number, "running")

    def start(self, number: int, task: Any, inputs: dict[str, Any]) -> None:
        """Of several that do it at once one starts it, and all go on."""
        from flytekit.exceptions.user import FlyteEntityAlreadyExistsException

        with contextlib.suppress(FlyteEntityAlreadyExistsException):
            self.remote.execute(task, inputs, self.project, self.domain, execution_name=f"{self.stem}-{number}")

    def _id(self, number: int) -> Any:
        from flytekit.models.core.identifier import WorkflowExecutionIdentifier

        return WorkflowExecutionIdentifier(self.project, self.domain, f"{self.stem}-{number}")


def build(spec: Any, settings: Settings, say: Callable[[str], None] = print) -> str:
    """The image's name with the digest of what was pushed. Raises CannotBuild, with a build's last lines."""
    from flytekit.exceptions.base import FlyteException

    check(spec)
    image = f"{spec.registry}/{spec.name}:{spec.tag}"
    force = bool(getattr(spec, "_is_force_push", False))
    found = registries.ask(image)
    if found.there and not force:
        say(f"{image} is in its registry")
        return f"{image}@{found.digest}"
    project, domain = place_of(settings)
    executions = Executions(_remote(project, domain), project, domain, image)
    try:
        chosen = choose(executions.look, lambda: registries.ask(image), force)
        if chosen.phase == "new":
            with tempfile.TemporaryDirectory() as folder:
                inputs = _inputs(spec, image, settings, Path(folder))
                executions.start(chosen.number, _task(executions.remote, spec, settings), inputs)
    except FlyteException as error:
        raise CannotBuild(f"{image} cannot be built in {project}/{domain} ({PLACE} says where): {error}") from error
    url = executions.url(chosen.number)
    say(f"{image} {'was' if chosen.phase == 'succeeded' else 'is'} built on the cluster: {url}")
    if chosen.phase != "succeeded":
        chosen = _wait(executions, chosen.number)
    if chosen.phase != "succeeded":
        raise CannotBuild(f"{image} was not built: {chosen.why.strip()}\nIts log: {url}")
    return f"{image}@{chosen.digest}"


def place_of(settings: Settings) -> tuple[str, str]:
    """Where builds belong: as the setting says, else where flytekit registers to, else its default."""
    if settings.place:
        project, domain = settings.place.split("/")
        return project, domain
    from flytekit.core.context_manager import FlyteContextManager

    told = FlyteContextManager.current_context().serialization_settings
    return getattr(told, "project", None) or "flytesnacks", getattr(told, "domain", None) or "development"


def _wait(executions: Executions, number: int) -> Build:
    """A build takes minutes, and the server may be away in them for a while."""
    from flytekit.exceptions.base import FlyteException

    heard = time.monotonic()
    while True:
        try:
            found = executions.look(number)
        except FlyteException as error:
            if time.monotonic() - heard > PATIENCE:
                said = str(error) or type(error).__name__
                raise CannotBuild(f"how far the build is cannot be asked: {said}\n{executions.url(number)}") from error
        else:
            heard = time.monotonic()
            if found is None or found.phase != "running":
                return found or Build(number, "failed", why="its execution is not there any more")
        time.sleep(PAUSE)


def _remote(project: str, domain: str) -> Any:
    """`pyflyte --config` is in what `auto` reads."""
    from flytekit.configuration import Config
    from flytekit.remote import FlyteRemote

    return FlyteRemote(Config.auto(), project, domain)


def _inputs(spec: Any, image: str, settings: Settings, folder: Path) -> dict[str, Any]:
    from flytekit.types.file import FlyteFile

    context, archive = folder / "context", folder / "context.tar.gz"
    context.mkdir()
    write(spec, context, settings.base)
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(context, arcname=".")
    return {
        "image": image,
        "platform": spec.platform or "linux/amd64",
        "base": base_of(spec, settings.base),
        "context": FlyteFile(str(archive)),
    }


def _task(remote: Any, spec: Any, settings: Settings) -> Any:
    """Registered once for each way to build."""
    from flytekit import ContainerTask, PodTemplate, Resources, Secret, kwtypes
    from flytekit.configuration import ImageConfig, SerializationSettings
    from flytekit.core.context_manager import FlyteEntities
    from flytekit.exceptions.user import FlyteEntityNotExistException
    from flytekit.types.file import FlyteFile

    options = {**RESOURCES, **(spec.builder_options or {})}
    if unknown := sorted(options.keys() - set(OPTIONS)):
        raise CannotBuild(f"builder_options of the ImageSpec {spec.name}: {unknown[0]} is none of {', '.join(OPTIONS)}")
    script = resources.files("causeway").joinpath("building.sh").read_text()
    told = repr((settings.builder, settings.secret, sorted(options.items()), script, _pod()))
    version = hashlib.sha256(told.encode()).hexdigest()[:16]
    try:
        return remote.fetch_task(name=TASK, version=version)
    except FlyteEntityNotExistException:
        pass
    group, _, key = settings.secret.partition("/")
    secret = Secret(group, key, mount_requirement=Secret.MountType.FILE, env_var="REGISTRY_AUTH_FILE")
    task = ContainerTask(
        name=TASK,
        image=settings.builder,
        command=["sh", "-c", script],
        inputs=kwtypes(image=str, platform=str, base=str, context=FlyteFile),
        outputs=kwtypes(digest=str),
        input_data_dir=INPUTS,
        output_data_dir=OUTPUTS,
        requests=Resources(**options),
        secret_requests=[secret] if settings.secret else None,
        pod_template=PodTemplate(primary_container_name=CONTAINER, pod_spec=_pod()),
    )
    FlyteEntities.entities.remove(task)  # it is no part of the program that is being registered
    about = SerializationSettings(ImageConfig(), remote.default_project, remote.default_domain, version)
    return remote.register_task(task, about, version)


def _pod() -> Any:
    """Root in its container, with what containers of that have; buildah makes itself a user namespace for the rest."""
    from kubernetes import client

    return client.V1PodSpec(
        volumes=[client.V1Volume(name="builds", empty_dir=client.V1EmptyDirVolumeSource())],
        containers=[
            client.V1Container(
                name=CONTAINER,
                security_context=client.V1SecurityContext(run_as_user=0, run_as_non_root=False),
                volume_mounts=[client.V1VolumeMount(name="builds", mount_path="/var/lib/builds")],
            )
        ],
    )
