"""Questions to a cluster that somebody waits for: an answer within seconds, or one sentence why there is none.

A page must not hang where a cluster does. The question runs in a thread of its own, which may take longer than anybody
waits; a cluster that did not answer is not asked again for a moment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from typing import Any, TypeVar

import urllib3

from scheduler.executors.kubernetes.client import Api, ApiError, Unreachable, connect
from scheduler.executors.kubernetes.cluster import BadCluster, Cluster
from scheduler.executors.kubernetes.connection import credentials_of

T = TypeVar("T")
SECONDS = 4.0  # to answer
QUICK = (1.5, 3.0)  # seconds to connect, and between two bytes
REST_SECONDS = 10.0  # a cluster that did not answer is left alone
AT_ONCE = 8  # questions

_threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="questions")
_lock = threading.Lock()
_clients: dict[str, tuple[Cluster, Mapping[str, Any] | None, Api]] = {}
_silent: dict[str, tuple[float, str]] = {}  # by name: until when (monotonic), and what is said meanwhile


class Unanswered(Exception):
    """The text is a sentence for people. `status`: what the API said; 0: it did not answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


def ask(found: Cluster, question: Callable[[Api], T], *, seconds: float = SECONDS) -> T:
    """What the question comes to. Raises Unanswered within `seconds`. The question raises what Api raises."""
    until, said = _silent.get(found.name, (0.0, ""))
    if time.monotonic() < until:
        raise Unanswered(said)
    try:
        credentials = credentials_of(found)  # here: threads of the pool would keep connections to the database
        return _threads.submit(_ask, found, credentials, question).result(seconds)
    except BadCluster as error:
        raise Unanswered(str(error)) from None
    except TookTooLong:
        raise _silence(found, f"cluster {found.name} did not answer within {seconds:g} s") from None
    except (Unreachable, urllib3.exceptions.HTTPError):
        raise _silence(found, f"cluster {found.name} cannot be reached") from None
    except ApiError as error:
        raise Unanswered(f"cluster {found.name} says: {error.message}", error.status) from None


def _ask(found: Cluster, credentials: Mapping[str, Any] | None, question: Callable[[Api], T]) -> T:
    return question(_client(found, credentials))


def _client(found: Cluster, credentials: Mapping[str, Any] | None) -> Api:
    """The same as long as its settings are: a kubeconfig may run a program for a token."""
    known = _clients.get(found.name)
    if known is not None and known[:2] == (found, credentials):
        return known[2]
    made = connect(found, credentials)
    with _lock:
        _clients[found.name] = (found, credentials, made)
    return made


def _silence(found: Cluster, said: str) -> Unanswered:
    _silent[found.name] = (time.monotonic() + REST_SECONDS, said)
    return Unanswered(said)


def forget() -> None:
    """As after a start."""
    _clients.clear()
    _silent.clear()
