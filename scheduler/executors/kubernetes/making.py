"""From an attempt to its pod on the cluster: everything that has to be there first, then one call."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from artifacts.exceptions import InvalidArgument
from scheduler.attempts.spec import AttemptSpec
from scheduler.executors.base import Assignment
from scheduler.executors.kubernetes import names, pods, secret_objects
from scheduler.executors.kubernetes.build import build
from scheduler.executors.kubernetes.client import ApiError
from scheduler.executors.kubernetes.cluster import Cluster, filled
from scheduler.executors.kubernetes.containers import Surroundings
from scheduler.executors.kubernetes.jobs import templates
from scheduler.executors.kubernetes.jobs.kind import NAME_LETTERS, Kind, Plan
from scheduler.executors.kubernetes.jobs.registry import kind_of
from scheduler.executors.kubernetes.objects import Objects
from scheduler.executors.kubernetes.resource import Resource
from scheduler.secrets.mounts import Mounts
from scheduler.secrets.names import Request

logger = logging.getLogger(__name__)

SecretsOf = Callable[[int, Sequence[Request]], Mounts]
EnvOf = Callable[[Assignment], Mapping[str, str]]
SERVED_SECONDS = 60.0  # for which it is believed that a cluster has jobs of a kind
TEMPLATE_SECONDS = 30.0  # for which what is known of a template is believed
USED_SECONDS = 300.0  # after its last pod it is no longer looked at whether what a namespace needs is as it was
STORE_KEYS_SECONDS = 60.0  # for which the keys of the store are believed to be in a namespace: somebody may remove them


class Taken(Exception):
    """A pod of that name, or a job, belongs to somebody else."""


@dataclass(frozen=True)
class _Made:
    """What is sent to the cluster. `resource`: None of a pod."""

    name: str
    labels: Mapping[str, str]
    body: bytes
    resource: Resource | None = None


class NoOperator(Exception):
    """The cluster has no objects of the kind that the attempt would be."""


class Maker:
    """Any number of threads may use it. Raises what Api raises, InvalidArgument, and what `secrets_of` raises."""

    def __init__(
        self,
        objects: Objects,
        cluster: Cluster,
        owner: str,
        secrets_of: SecretsOf,
        env_of: EnvOf,
        store_keys: Mapping[str, str],
    ) -> None:
        """`store_keys`: variables with which tasks reach the store; they lie in a Secret object of each namespace."""
        self.objects, self.cluster, self.owner = objects, cluster, owner
        self.store_keys = store_keys
        self._store_keys_at: dict[str, float] = {}  # when they were last put into a namespace (monotonic)
        self._used_at: dict[str, float] = {}  # when a namespace last had a pod made (monotonic)
        self.secrets_of, self.env_of = secrets_of, env_of
        self._served: dict[Resource, tuple[float, bool]] = {}  # when it was asked (monotonic), and the answer
        self._templates: dict[tuple[str, str], tuple[float, dict[str, Any] | None]] = {}
        self._lock = threading.Lock()
        self._without_shell: set[str] = set()  # images; learnt again by each process

    def namespace_of(self, spec: AttemptSpec) -> str:
        return self.cluster.namespace_of(*spec.identity.place)

    def make(self, assignment: Assignment) -> tuple[pods.Json, tuple[str, ...]]:
        """The pod as the cluster has it now, or the job, and the texts that messages must not show. One of the attempt
        that is there already is the one; Taken if it is not ours, NoOperator if the cluster knows no such jobs.
        """
        spec, namespace = assignment.spec, self.namespace_of(assignment.spec)
        kind = kind_of(spec)
        resource = self.resource_of(kind) if kind is not None else None
        mounts = self.secrets_of(assignment.attempt_id, spec.secrets) if spec.secrets else Mounts()
        around = self._around(assignment, namespace, mounts)
        if kind is not None and resource is not None:
            name = names.pod_name(spec.identity, self.owner, NAME_LETTERS)
            job = kind.build(Plan(spec, name, resource, self.cluster, around))
            made = _Made(name, job["metadata"]["labels"], templates.body(job, spec.identity.task), resource)
        else:
            built = build(spec, self.cluster, around)
            made = _Made(built.name, built.labels, built.body)
        if around.has_secrets:
            self.objects.create_secret(secret_objects.secret_object(mounts, made.name, namespace, made.labels))
        found = self._create(made, namespace, assignment.attempt_id)
        if around.has_secrets:
            self.objects.own_secret(found, secret_objects.owned_by(found))
        return found, mounts.hidden

    def resource_of(self, kind: Kind) -> Resource:
        """As which of its kinds the cluster has such jobs. NoOperator if as none; raises what Api raises."""
        for resource in kind.resources:
            at, served = self._served.get(resource, (-SERVED_SECONDS, False))
            if not served or time.monotonic() - at > SERVED_SECONDS:
                served = self.objects.serves(resource)
                self._served[resource] = (time.monotonic(), served)
            if served:
                return resource
        raise NoOperator(
            f"cluster {self.cluster.name} has no {kind.words}: an administrator of the cluster installs {kind.operator}"
        )

    def _around(self, assignment: Assignment, namespace: str, mounts: Mounts) -> Surroundings:
        spec = assignment.spec
        env, files = secret_objects.keys_of(mounts)
        return replace(
            self.surroundings(spec, namespace, attempt_id=assignment.attempt_id),
            env=self.env_of(assignment),
            secret_env=env,
            secret_files=files,
            secret_paths=mounts.paths,
            elsewhere=mounts.elsewhere,
        )

    def surroundings(self, spec: AttemptSpec, namespace: str, *, attempt_id: int) -> Surroundings:
        """What is there for a pod of that namespace, without what is an attempt's own."""
        self._used_at[namespace] = time.monotonic()
        return Surroundings(
            namespace=namespace,
            owner=self.owner,
            attempt_id=attempt_id,
            store_secret=self._store_secret(namespace),
            store_keys=tuple(self.store_keys),
            template=self._template(spec, namespace),
            without_shell=frozenset(self._without_shell),
        )

    def find(self, namespace: str, name: str, attempt_id: int, kind: Kind | None = None) -> pods.Json | None:
        """The attempt's pod if it is there, or its job of the kind; Taken if it is another's."""
        return self._find(namespace, name, attempt_id, self.resource_of(kind) if kind is not None else None)

    def _find(self, namespace: str, name: str, attempt_id: int, resource: Resource | None) -> pods.Json | None:
        found = self.objects.pod(namespace, name) if resource is None else self.objects.job(resource, namespace, name)
        if found is not None and not self._is_ours(found, attempt_id):
            what = "pod" if resource is None else resource.kind
            raise Taken(f"the cluster has a {what} {namespace}/{name} that is not Causeway's: it has to go first")
        return found

    def _store_secret(self, namespace: str) -> str:
        """The name of the namespace's Secret object with the keys of the store, which is there; empty: no keys."""
        if not self.store_keys:
            return ""
        made = secret_objects.store_object(self.store_keys, namespace, self.owner)
        self._put_store_keys(namespace, made, STORE_KEYS_SECONDS)
        return str(made["metadata"]["name"])

    def forget_cluster(self) -> None:
        """What is known of its namespaces, which may not be so any more."""
        with self._lock:
            self._templates.clear()
        self._served.clear()
        self._store_keys_at.clear()

    def _put_store_keys(self, namespace: str, made: Mapping[str, Any], older: float) -> None:
        now = time.monotonic()
        if now - self._store_keys_at.get(namespace, -older) >= older:
            self.objects.create_secret(dict(made))
            self._store_keys_at[namespace] = now

    def has_no_shell(self, image: str) -> None:
        """From now on flytekit is started its own way in that image."""
        self._without_shell.add(image)

    def look_again(self) -> None:
        """Whether what pods of the namespaces in use need is as it was, before one has to wait for the answer."""
        now = time.monotonic()
        used = [namespace for namespace, at in list(self._used_at.items()) if now - at < USED_SECONDS]
        self._used_at = {namespace: at for namespace, at in list(self._used_at.items()) if now - at < USED_SECONDS}
        with contextlib.suppress(ApiError):  # who makes a pod next will be told
            for namespace in used:
                if self.store_keys:
                    made = secret_objects.store_object(self.store_keys, namespace, self.owner)
                    self._put_store_keys(namespace, made, STORE_KEYS_SECONDS / 2)
            for place, name in [key for key in list(self._templates) if key[0] in used]:
                self._looked_up(place, name, must=False, older=TEMPLATE_SECONDS / 2)

    def forget_secret(self, namespace: str, pod: str) -> None:
        """Of a pod that will not be made. What cannot be removed now stays: it is named after its attempt."""
        with contextlib.suppress(ApiError):
            self.objects.delete_secret(namespace, names.secret_name(pod))

    def prepare_namespace(self, namespace: str, project: str, domain: str) -> None:
        """Make it, with what the cluster's settings put into each. InvalidArgument where it may not be made."""
        if not self.cluster.create_namespaces:
            raise InvalidArgument(_no_namespace(self.cluster, namespace, "and Causeway is set not to make any"))
        self._store_keys_at.pop(namespace, None)
        labels = {names.PROJECT: names.label_value(project), names.DOMAIN: names.label_value(domain)}
        try:
            self.objects.create_namespace(namespace, {**labels, names.OWNER: self.owner})
            for given in self.cluster.namespace_objects:
                self.objects.create(_filled(given, namespace, project, domain))
        except ApiError as error:
            if error.status != 403:
                raise
            raise InvalidArgument(_no_namespace(self.cluster, namespace, "and may not be made")) from None

    def _create(self, made: _Made, namespace: str, attempt_id: int) -> pods.Json:
        try:
            if made.resource is not None:
                return self.objects.create_job(made.resource, namespace, made.body)
            return self.objects.create_pod(namespace, made.body)
        except ApiError as error:
            if error.status != 409:
                raise
            found = self._find(
                namespace, made.name, attempt_id, made.resource
            )  # a try before this one, whose answer was lost
            if found is None:
                raise  # it is just going: the same again in a moment
            return found

    def _is_ours(self, pod: pods.Json, attempt_id: int) -> bool:
        labels = pods.part(pod, "metadata", "labels")
        return labels.get(names.OWNER) == self.owner and names.attempt_id_of(pod) == attempt_id

    def _template(self, spec: AttemptSpec, namespace: str) -> dict[str, Any] | None:
        """The PodTemplate object that is asked for, or the default one if there is one."""
        asked = spec.pod.template if spec.pod is not None else ""
        name = asked or self.cluster.pod_template
        if not name:
            return None
        for place in filter(None, (namespace, self.cluster.template_namespace)):
            if (found := self._looked_up(place, name, must=bool(asked))) is not None:
                return found
        if asked:
            raise InvalidArgument(
                f"task {spec.identity.task} asks for the PodTemplate {asked!r}, which namespace {namespace} of cluster "
                f"{self.cluster.name} does not have: name one that is there, or have an administrator of the cluster "
                "make it"
            )
        return None

    def _looked_up(
        self, namespace: str, name: str, *, must: bool, older: float = TEMPLATE_SECONDS
    ) -> dict[str, Any] | None:
        now = time.monotonic()
        with self._lock:
            at, found = self._templates.get((namespace, name), (-TEMPLATE_SECONDS, None))
        if now - at < older and (found is not None or not must):
            return found
        try:
            found = self.objects.template(namespace, name)
        except ApiError as error:
            if error.status != 403 or must:
                raise
            found = None  # who may not read templates has no default one
        with self._lock:
            self._templates[namespace, name] = (now, found)
        return found


def _no_namespace(cluster: Cluster, namespace: str, why: str) -> str:
    return (
        f"cluster {cluster.name} has no namespace {namespace}, {why}: an administrator of the cluster makes it "
        f"(kubectl create namespace {namespace}), or allows Causeway to"
    )


def _filled(given: Mapping[str, Any], namespace: str, project: str, domain: str) -> dict[str, Any]:
    """An object for a namespace, with {{ project }} and {{ domain }} in its texts filled in."""

    def fill(value: Any) -> Any:
        if isinstance(value, str):
            return filled(value, {"project": project, "domain": domain})
        if isinstance(value, Mapping):
            return {name: fill(one) for name, one in value.items()}
        return [fill(one) for one in value] if isinstance(value, (list, tuple)) else value

    made: dict[str, Any] = fill(given)
    return {**made, "metadata": {**made.get("metadata", {}), "namespace": namespace}}
