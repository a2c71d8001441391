"""The tasks of teams that know each other's artifacts by name only. Pods need nothing but flytekit to run them."""

from __future__ import annotations

import base64
from typing import Annotated

from flytekit import task
from flytekit.core.artifact import Artifact, Inputs
from flytekit.types.file import FlyteFile

Rows = Artifact(name="rows-on-pods", partition_keys=["harbour"])
Model = Artifact(name="model-on-pods", partition_keys=["harbour"])
Approved = Artifact(name="approved-on-pods", partition_keys=["harbour"])
Deployed = Artifact(name="deployed-on-pods", partition_keys=["harbour"])


class ModelCard:
    """As the SDK's and unionai's, for an image that has neither: flyteidl.artifact.Card of type 1 with a short body."""

    def __init__(self, text: str) -> None:
        self.text = text

    def serialize_to_string(self, context: object, name: str) -> tuple[str, str]:
        body = self.text.encode()
        assert len(body) < 128
        return "_uc", base64.b64encode(b"\x10\x01\x1a" + bytes([len(body)]) + body).decode()


@task
def measure(harbour: str) -> Annotated[int, Rows(harbour=Inputs.harbour)]:
    return len(harbour)


@task
def train(harbour: str, rows: int) -> Annotated[FlyteFile, Model(harbour=Inputs.harbour)]:
    with open("model.txt", "w") as file:
        file.write(f"{harbour} {rows}")
    return Model.create_from(FlyteFile("model.txt"), ModelCard(f"# The model of {harbour}\n\nmade of {rows} rows"))


@task
def examine(model: FlyteFile) -> float:
    with open(model) as file:
        return len(file.read()) / 100


@task
def deploy(harbour: str, model: FlyteFile) -> Annotated[str, Deployed(harbour=Inputs.harbour)]:
    with open(model) as file:
        return f"deployed: {file.read()}"
