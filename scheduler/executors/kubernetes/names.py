"""What the objects of an attempt are called, and the marks by which they are found again.

A pod's name is made from the attempt's name and the installation, so that the same attempt always has the same pod and
two installations on one cluster never meet. Labels hold what fits (63 letters), else a hash; annotations of the same
names always hold the whole. Nobody changes the labels, so a watch that selects by them misses nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from scheduler.attempts.spec import Identity

PREFIX = "causeway/"
EXECUTION, NODE, ATTEMPT = f"{PREFIX}execution", f"{PREFIX}node", f"{PREFIX}attempt"
ITEM, PROJECT, DOMAIN, USER = f"{PREFIX}item", f"{PREFIX}project", f"{PREFIX}domain", f"{PREFIX}user"
TASK, NAME = f"{PREFIX}task", f"{PREFIX}attempt-name"
OWNER = f"{PREFIX}owner"  # which installation of Causeway a pod belongs to
CLUSTER = f"{PREFIX}cluster"  # and which of its clusters: two of them may be descriptions of one real cluster
ATTEMPT_ID = f"{PREFIX}attempt-id"  # of the attempt's row
TIMEOUT = f"{PREFIX}timeout-seconds"  # of the task, counted from when its container starts
PRIMARY = f"{PREFIX}primary-container"
POOL = f"{PREFIX}pool"  # of which shape a pod is that stays
OURS = "causeway-"  # how the names of containers begin that Causeway adds to a task's own
POOL_POD = "pool-"  # its name begins so
FINALIZER = f"{PREFIX}end-stored"  # keeps the pod until its end is written down

POD_NAME_LETTERS = 63  # a longer name is allowed, but then the host's name in the pod is cut
LABEL_LETTERS = 63
_DIGEST = 10
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?", re.ASCII)
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)
_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.ASCII)
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


def pod_name(identity: Identity, owner: str, letters: int = POD_NAME_LETTERS) -> str:
    """A DNS label of at most so many letters: readable in front, unique by the digest at its end."""
    digest = _hash(f"{owner}\0{identity.name}")
    parts = [identity.execution, identity.node, str(identity.attempt)]
    readable = "-".join([*parts, *([str(identity.index)] if identity.index >= 0 else [])])
    readable = re.sub(r"[^a-z0-9]+", "-", (readable if identity.execution else identity.name).lower()).strip("-")
    if len(readable) > letters - _DIGEST - 1:
        readable = readable[: letters - _DIGEST - 1].strip("-")
    return f"{readable}-{digest}" if readable else f"a-{digest}"


def is_shared(handle: str) -> bool:
    """Whether an attempt's handle names a pod that stays: others run in it, too, and its log is no attempt's."""
    return handle.partition("/")[2].startswith(POOL_POD)


def secret_name(pod: str) -> str:
    """Of the Secret object that belongs to a pod."""
    return f"{pod}-secrets"


def marks(identity: Identity, owner: str, attempt_id: int, cluster: str) -> tuple[dict[str, str], dict[str, str]]:
    """Labels, then annotations, of an attempt's pod."""
    whole = {
        EXECUTION: identity.execution,
        NODE: identity.node,
        ATTEMPT: str(identity.attempt),
        PROJECT: identity.project,
        DOMAIN: identity.domain,
        USER: identity.user,
    }
    if identity.index >= 0:
        whole[ITEM] = str(identity.index)
    whole = {name: value for name, value in whole.items() if value}
    labels = {name: label_value(value) for name, value in whole.items()}
    labels |= {OWNER: owner, ATTEMPT_ID: str(attempt_id), CLUSTER: cluster}
    return labels, whole | {NAME: identity.name, **({TASK: identity.task} if identity.task else {})}


def label_value(text: str) -> str:
    """The text itself where a label may hold it; else as much of it as can be, and a digest of the whole."""
    if len(text) <= LABEL_LETTERS and _LABEL_VALUE.fullmatch(text):
        return text
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", text)[: LABEL_LETTERS - _DIGEST - 1].strip("._-")
    return f"{plain}.{_hash(text)}" if plain else _hash(text)


def selector(owner: str) -> str:
    """Selects the pods of one installation."""
    return f"{OWNER}={owner}"


def attempt_id_of(pod: Mapping[str, object]) -> int | None:
    """Of which attempt a pod is; None if it does not say, or says nonsense."""
    told = _label(pod, ATTEMPT_ID)
    return int(told) if isinstance(told, str) and told.isascii() and told.isdigit() else None


def is_of(made: Mapping[str, object], cluster: str) -> bool:
    """Whether a pod or a job of this installation is of that cluster: whoever works for another leaves it alone."""
    return _label(made, CLUSTER) in (None, cluster)


def _label(made: Mapping[str, object], name: str) -> object:
    metadata = made.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, Mapping) else None
    return labels.get(name) if isinstance(labels, Mapping) else None


def wrong_label(name: str, value: str) -> str:
    """What is wrong with a label that somebody asked for, in words; empty if it is fine."""
    if wrong := wrong_key(name):
        return f"the label {name[:80]!r} {wrong}"
    if not _LABEL_VALUE.fullmatch(value):
        return (
            f"the label {name[:80]!r} has the value {value[:80]!r}: at most 63 letters, digits, '.', '_' and '-', "
            "beginning and ending with a letter or digit"
        )
    return ""


def wrong_key(name: str) -> str:
    """What is wrong with the name of a label or annotation, in words; empty if it is fine."""
    prefix, slash, own = name.rpartition("/")
    if slash and (len(prefix) > 253 or not _SUBDOMAIN.fullmatch(prefix)):
        return "has a prefix that is no DNS name"
    if not _LABEL_NAME.fullmatch(own):
        return "needs a name of 1 to 63 letters, digits, '.', '_' and '-', beginning and ending with a letter or digit"
    return ""


def is_dns_label(name: str) -> bool:
    """Whether a container or a namespace may have this name."""
    return bool(_DNS_LABEL.fullmatch(name))


def is_dns_name(name: str) -> bool:
    """Whether a service account, a priority class and most other objects may have this name."""
    return len(name) <= 253 and bool(_SUBDOMAIN.fullmatch(name))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]
