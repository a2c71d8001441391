"""What flytekit forgets of a mapped task: that its output is annotated with an artifact.

It lifts the outputs to lists and loses their annotations on the way; nothing that is registered has them but the task
itself, which `pyflyte run` does not register. The process that runs an item has the task at hand, and says it with the
value, in its metadata: the base64 of the core.Variable as the task declares it.
"""

from __future__ import annotations

import base64
from functools import cache
from typing import Any

DECLARED_KEY = "_uo"  # artifacts.wire.DECLARED_KEY


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
