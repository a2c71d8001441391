"""A program of a user is imported once, and forks have it: what that must not change for a task.

On its own, without Causeway and without this package: the runner of pods that stay takes this file along as it is.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import os
import random
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

# Threads that libraries start when imported and that are known to survive a fork, or not to matter after one.
HARMLESS_THREADS = ("jemalloc_bg_thd",)

# While imported numpy makes its own generator, which is made anew in each fork (refresh_randomness), SciPy draws
# examples for its documentation, by generators that it does not keep (scikit-learn imports it), and scikit-learn makes
# one as a default for an argument that it always gives.
DRAWING = ("numpy.random", "scipy.stats", "sklearn.ensemble")
OWN_WAYS = ("tempfile",)  # makes another generator in each process by itself
NUMPYS = "numpy.random"

_seeded: set[str] = set()  # which of the generators that all share, `random`'s and numpy's, a user's module seeded
_drew = False  # whether it made a generator of its own without a seed: forks would have the same numbers
_state_before_fork: dict[str, Any] = {}


@contextlib.contextmanager
def remembering_seeds() -> Iterator[None]:
    """Notes whether `random` or numpy's generator are seeded meanwhile: forks then keep that state, as a fresh process
    would have it (`has_seeded`). And whether a generator is made without a seed (`has_own_generators`).
    """
    seed_of, randbits = random.Random.seed, secrets.randbits

    def noting_of(self: random.Random, a: Any = None, version: int = 2) -> None:
        global _drew
        maker = sys._getframe(2 if sys._getframe(1).f_code.co_name == "__init__" else 1)
        _drew = _drew or (a is None and maker.f_globals.get("__name__") not in OWN_WAYS)
        seed_of(self, a, version)

    def noting_bits(k: int) -> int:
        global _drew
        _drew = _drew or not any(_is_being_imported(name) for name in DRAWING)
        return randbits(k)

    numpys = sys.modules.get("numpy.random.bit_generator")
    drawn_by_numpy = getattr(numpys, "randbits", None)
    secrets.randbits = noting_bits
    random.Random.seed = noting_of  # type: ignore[method-assign]
    if numpys is not None:
        numpys.randbits = noting_bits  # type: ignore[attr-defined]
    try:
        with _noting_seeds_of(random, "seed", "setstate"), _noting_seeds_of_numpy():
            yield
    finally:
        secrets.randbits = randbits
        random.Random.seed = seed_of  # type: ignore[method-assign]
        for numpys in filter(None, [sys.modules.get("numpy.random.bit_generator")]):
            numpys.randbits = drawn_by_numpy or randbits  # type: ignore[attr-defined]


@contextlib.contextmanager
def _noting_seeds_of(module: Any, *names: str) -> Iterator[None]:
    originals = {name: getattr(module, name) for name in names}

    def noting(original: Any) -> Any:
        def noted(*args: Any, **kwargs: Any) -> Any:
            if any(one is not None for one in (*args, *kwargs.values())):
                _seeded.add(module.__name__)
            return original(*args, **kwargs)

        return noted

    for name, original in originals.items():
        setattr(module, name, noting(original))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(module, name, original)


class _OfNumpy(importlib.abc.MetaPathFinder):
    """Calls `found` with numpy's module of random numbers as soon as that is imported, before who imports it has it."""

    def __init__(self, found: Callable[[Any], object]) -> None:
        self.found = found

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target) if fullname == NUMPYS else None
        loader: Any = spec.loader if spec is not None else None
        if loader is not None:

            def run_and_tell(module: Any) -> None:
                del loader.exec_module
                loader.exec_module(module)
                self.found(module)

            loader.exec_module = run_and_tell
        return spec


@contextlib.contextmanager
def _noting_seeds_of_numpy() -> Iterator[None]:
    with contextlib.ExitStack() as until_then:
        finder = _OfNumpy(lambda module: until_then.enter_context(_noting_seeds_of(module, "seed", "set_state")))
        if (numpys := sys.modules.get(NUMPYS)) is not None:
            finder.found(numpys)
        else:
            sys.meta_path.insert(0, finder)
        try:
            yield
        finally:
            with contextlib.suppress(ValueError):
                sys.meta_path.remove(finder)


def _is_being_imported(module: str) -> bool:
    return bool(getattr(getattr(sys.modules.get(module), "__spec__", None), "_initializing", False))


def has_own_generators() -> bool:
    """Whether what was imported made a generator of random numbers without a seed: in forks it would give the same
    numbers to each, which nobody who makes one expects.
    """
    return _drew


def has_seeded() -> bool:
    """Whether it seeded what all modules share: forks that are to run another's task should not have that."""
    return bool(_seeded)


def _keep_state() -> None:
    if random.__name__ in _seeded:
        _state_before_fork[random.__name__] = random.getstate()
    if NUMPYS in _seeded:
        _state_before_fork[NUMPYS] = sys.modules[NUMPYS].get_state()


os.register_at_fork(before=_keep_state)


def refresh_randomness() -> None:
    """In the fork: different in every task, unless the user's module seeded it. Python reseeds `random` itself."""
    flytekits = sys.modules.get("flytekit.interfaces.random")
    if flytekits is not None:
        flytekits.random.seed()  # names of remote paths come from it
    if random.__name__ in _seeded:
        random.setstate(_state_before_fork[random.__name__])
    if NUMPYS in _seeded:
        sys.modules[NUMPYS].set_state(_state_before_fork[NUMPYS])
    elif NUMPYS in sys.modules:
        sys.modules[NUMPYS].seed()


@contextlib.contextmanager
def as_a_task() -> Iterator[None]:
    """flytekit imports a task's module when it knows already that it runs a task: `if image.is_container(): import ...`
    means that, and asks for it.
    """
    from flytekit.core.context_manager import ExecutionState, FlyteContextManager

    state = ExecutionState(tempfile.gettempdir(), mode=ExecutionState.Mode.TASK_EXECUTION)
    context = FlyteContextManager.current_context()
    with FlyteContextManager.with_context(context.with_execution_state(state)):
        yield


def know_settings() -> None:
    """flytekit reads a program's settings out of a variable, which all of its tasks have: once is enough for them."""
    from flytekit.configuration import SERIALIZED_CONTEXT_ENV_VAR, SerializationSettings

    text = os.environ.get(SERIALIZED_CONTEXT_ENV_VAR)
    if text is None:
        return
    known, read = SerializationSettings.from_transport(text), SerializationSettings.from_transport
    SerializationSettings.from_transport = staticmethod(lambda given: known if given == text else read(given))


def stop_loops() -> None:
    """End the event loop threads that flytekit started (default inputs do): a process with threads must not be forked,
    and they start anew on demand.
    """
    from flytekit.utils.asyn import loop_manager

    for runner in loop_manager._runner_map.values():
        loop, thread = runner._TaskRunner__loop, runner._TaskRunner__runner_thread
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
    loop_manager._runner_map.clear()
    sys.stdout.flush()


def lost_threads(*, patience: float) -> list[str]:
    """As `foreign_threads`, but for those of OpenBLAS (numpy, pandas): they end before each fork, and begin anew in
    whoever multiplies.
    """
    if _foreign_threads():
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    return foreign_threads(patience=patience)


def foreign_threads(*, patience: float) -> list[str]:
    """Names of threads, besides this one, that a fork would lose. Threads may take `patience` seconds to end."""
    until = time.monotonic() + patience
    while (names := _foreign_threads()) and time.monotonic() < until:
        time.sleep(0.02)
    return names


def _foreign_threads() -> list[str]:
    names = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if os.path.isdir("/proc/self/task") and not names:
        for task in os.listdir("/proc/self/task"):
            with contextlib.suppress(OSError), open(f"/proc/self/task/{task}/comm") as comm:
                name = comm.read().strip()
                if int(task) != os.getpid() and not name.startswith(HARMLESS_THREADS):
                    names.append(name)
    return names
