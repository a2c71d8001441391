"""A version of a model behind HTTP: `causeway serve ml-model:champion`, or from Python.

from causeway import Client
from causeway.serving import Served, serve

serve(Served(Client(), "ml-model", alias="champion"), port=8080)

Standard library only; the model's framework is what the model needs.
"""

from __future__ import annotations

from causeway.serving.models import Loaded, load
from causeway.serving.server import Server, serve
from causeway.serving.watch import Served

__all__ = ["Loaded", "Served", "Server", "load", "serve"]
