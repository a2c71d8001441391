"""Tasks that connectors run, as users declare them: what a ship is named and where it is built, YARD says."""

import os
from typing import Any, Dict

from flytekit import kwtypes, task, workflow
from flytekit.core.artifact import Artifact
from flytekit.core.base_task import PythonTask
from flytekit.core.interface import Interface
from flytekit.extend.backend.base_connector import AsyncConnectorExecutorMixin, SyncConnectorExecutorMixin
from flytekit.sensor.file_sensor import FileSensor
from typing_extensions import Annotated

YARD = os.environ.get("YARD", "/nowhere")
Ship = Artifact(name="ship")


class ShipTask(AsyncConnectorExecutorMixin, PythonTask):
    def __init__(self, name: str, task_type: str = "ship", output: Any = str, **custom: Any) -> None:
        self.custom = custom
        interface = Interface(inputs=kwtypes(text=str), outputs=kwtypes(o0=output))
        super().__init__(task_type=task_type, name=name, task_config=None, interface=interface)

    def get_custom(self, settings: Any) -> Dict[str, Any]:
        return {"yard": YARD, "name": self.name.rpartition(".")[2], **self.custom}


class RopeTask(SyncConnectorExecutorMixin, ShipTask):
    pass


argo = ShipTask("yard.argo", output=Annotated[str, Ship])
beagle = ShipTask("yard.beagle")
calypso = ShipTask("yard.calypso")
nautilus = ShipTask("yard.nautilus", task_type="submarine")
rope = RopeTask("yard.rope", task_type="chandler")
wait_for = FileSensor(name="yard.wait_for")


@task
def launch(ship: str) -> str:
    return f"launched {ship.split('|')[0]}"


@workflow
def argo_wf(text: str = "mast") -> str:
    return launch(ship=argo(text=text))


@workflow
def beagle_wf(text: str = "") -> str:
    return beagle(text=text)


@workflow
def calypso_wf(text: str = "") -> str:
    return calypso(text=text)


@workflow
def nautilus_wf(text: str = "") -> str:
    return nautilus(text=text)


@workflow
def rope_wf(text: str = "") -> str:
    return rope(text=text)


@workflow
def sensor_wf(path: str) -> str:
    waited = wait_for(path=path)
    launched = launch(ship="it")
    waited >> launched
    return launched
