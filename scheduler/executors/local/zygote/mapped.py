"""What flytekit forgets of a mapped task, that its output is annotated with an artifact, and what it makes anew.

It lifts the outputs to lists and loses their annotations on the way; nothing that is registered has them but the task
itself, which `pyflyte run` does not register. The process that runs an item has the task at hand, and says it with the
value, in its metadata: the base64 of the core.Variable as the task declares it.
"""

from __future__ import annotations

import base64
from functools import cache, lru_cache
from typing import Any

DECLARED_KEY = "_uo"  # artifacts.wire.DECLARED_KEY


@cache
def load_maps_once() -> None:
    """A process that runs many items of a map makes the mapped task out of the task for the first of them."""
    from flytekit.core.array_node_map_task import ArrayNodeMapTaskResolver

    load = ArrayNodeMapTaskResolver.load_task

    @lru_cache(maxsize=8)
    def loaded(self: Any, arguments: tuple[str, ...], max_concurrency: int) -> Any:
        return load(self, list(arguments), max_concurrency)

    def load_task(self: Any, loader_args: list[str], max_concurrency: int = 0) -> Any:
        return loaded(self, tuple(loader_args), max_concurrency)

    ArrayNodeMapTaskResolver.load_task = load_task


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
