"""Flyte's compiler: a workflow as written becomes a closure that is known to fit together. Pure, without a database."""

from scheduler.compiler.dynamic import compile_dynamic, requirements_of_dynamic
from scheduler.compiler.requirements import Available, LaunchPlanInterface, Requirements, key_of, requirements_of
from scheduler.compiler.workflow import compile_closure

__all__ = [
    "Available",
    "LaunchPlanInterface",
    "Requirements",
    "compile_closure",
    "compile_dynamic",
    "key_of",
    "requirements_of",
    "requirements_of_dynamic",
]
