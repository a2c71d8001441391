"""What flytekit forgets of a mapped task, that its output is annotated with an artifact, and what it makes anew.

It lifts the outputs to lists and loses their annotations on the way; nothing that is registered has them but the task
itself, which `pyflyte run` does not register. The process that runs an item has the task at hand, and says it with the
value, in its metadata: the base64 of the core.Variable as the task declares it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from functools import cache, lru_cache, wraps
from typing import Any

DECLARED_KEY = "_uo"  # artifacts.wire.DECLARED_KEY


RESOLVER = "flytekit.core.array_node_map_task.ArrayNodeMapTaskResolver"


@cache
def load_maps_once() -> None:
    """A process that runs many items of a map makes the mapped task out of the task for the first of them."""
    from flytekit.bin import entrypoint
    from flytekit.core.array_node_map_task import ArrayNodeMapTaskResolver

    class Resolver(ArrayNodeMapTaskResolver):  # type: ignore[misc]
        def load_task(self, loader_args: list[str], max_concurrency: int = 0) -> Any:
            return loaded(tuple(loader_args), max_concurrency)

    find, original = entrypoint.load_object_from_module, ArrayNodeMapTaskResolver()
    resolver = Resolver()  # flytekit makes one for each item

    @lru_cache(maxsize=8)
    def loaded(arguments: tuple[str, ...], max_concurrency: int) -> Any:
        return original.load_task(list(arguments), max_concurrency)

    def load_object_from_module(location: str) -> Any:
        return (lambda: resolver) if location == RESOLVER else find(location)

    entrypoint.load_object_from_module = load_object_from_module


class Literals(list[Any]):
    """Those of a collection, each of which is made of its message when somebody asks for it. An item asks for one."""

    def __init__(self, messages: Iterable[Any], make: Callable[[Any], Any]) -> None:
        super().__init__(messages)
        self._make, self._unmade = make, set(range(len(self)))

    def _all_made(self) -> list[Any]:
        for at in self._unmade:
            super().__setitem__(at, self._make(super().__getitem__(at)))
        self._unmade = set()
        return self

    def __getitem__(self, at: Any) -> Any:
        if not isinstance(at, int) or at < 0:
            self._all_made()
        elif at in self._unmade:
            self._unmade.remove(at)
            super().__setitem__(at, self._make(super().__getitem__(at)))
        return super().__getitem__(at)

    def __radd__(self, before: list[Any]) -> list[Any]:
        return [*before, *self]

    def __reduce__(self) -> tuple[type, tuple[list[Any]]]:
        """A copy is a list."""
        return list, ([*self],)


def _after_all(name: str) -> Any:
    method = getattr(list, name)

    @wraps(method)
    def whole(self: Literals, *args: Any, **kwargs: Any) -> Any:
        return method(self._all_made(), *args, **kwargs)

    return whole


# Whatever else a list can do it does with all of its literals.
_OWN = {"__getitem__", "__init__", "__new__", "__len__", "__class_getitem__", "__hash__", "__getattribute__"}
for _name in [name for name, one in vars(list).items() if callable(one) and name not in _OWN]:
    setattr(Literals, _name, _after_all(_name))


@cache
def make_literals_when_asked() -> None:
    """From now on, in this process: of a file with the inputs of many items each one reads its own."""
    from flytekit.models.literals import Literal, LiteralCollection

    LiteralCollection.from_flyte_idl = classmethod(
        lambda cls, message: cls(Literals(message.literals, Literal.from_flyte_idl))
    )


@cache
def tell_declarations() -> None:
    """From now on, of all maps that this process and its forks run."""
    from flytekit.core.array_node_map_task import ArrayNodeMapTask

    original = ArrayNodeMapTask._output_to_literal_map

    async def telling(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = await original(self, *args, **kwargs)
        for name, variable in self.python_function_task.interface.outputs.items():
            literal = found[0].literals.get(name)
            if literal is not None and variable.artifact_partial_id is not None:
                text = base64.b64encode(variable.to_flyte_idl().SerializeToString()).decode()
                literal.set_metadata({**(literal.metadata or {}), DECLARED_KEY: text})
        return found

    ArrayNodeMapTask._output_to_literal_map = telling
