"""Launch plans that train on one dataset, with triggers of their own and without, and a batch inference."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Annotated, Any

from causeway import OnArtifact
from flyteidl.admin import execution_pb2
from flyteidl.core import identifier_pb2, literals_pb2
from flytekit import LaunchPlan as FlyteLaunchPlan
from flytekit import task, workflow
from flytekit.core.artifact import Artifact as FlyteArtifact

from artifacts import literals
from artifacts.actions.aliases import move_alias
from artifacts.models import ArtifactVersion
from scheduler.actions.contests import Wish, set_contest
from scheduler.actions.launch import LaunchRequest, launch
from scheduler.actions.launch_plans import set_state
from scheduler.models import Execution, LaunchPlan, Trigger
from scheduler.phases import ExecutionPhase
from scheduler.triggers.evaluate import evaluate_version
from tests.artifacts.governance.making import ADMIN, later, settle
from tests.artifacts.publishing import integer, publish_output
from tests.flyte import register_all

RIDES = FlyteArtifact(name="rides")
OTHER = FlyteArtifact(name="other")
MODEL = FlyteArtifact(name="demand")
FORECASTS = FlyteArtifact(name="forecasts")
REPORT = FlyteArtifact(name="forecast-report")
DATASET = ("flytesnacks", "development", "rides")
PLACE = ("flytesnacks", "development", "demand", "champion")


@task
def fit(rides: int) -> int:
    return rides


@workflow
def train(rides: int) -> int:
    """A trainer with nothing said of triggers: the contest gives it one."""
    return fit(rides=rides)


@workflow
def train_newest(rides: int = RIDES.query()) -> int:
    return fit(rides=rides)


@task
def fit_text(rides: str) -> int:
    return len(rides)


@workflow
def train_text(rides: str) -> int:
    return fit_text(rides=rides)


@task
def nothing() -> int:
    return 1


@workflow
def train_without() -> int:
    return nothing()


@task
def predict(model: int, rides: int) -> Annotated[int, FORECASTS]:
    return model * rides


@workflow
def infer(model: int, rides: int) -> Annotated[int, REPORT]:
    return predict(model=model, rides=rides)


ON_RIDES = OnArtifact(RIDES)


def plan(name: str, of: Any = train, *, trigger: Any = None, version: str = "v1", active: bool = True) -> LaunchPlan:
    """A registered launch plan."""
    for known in [one for one in FlyteLaunchPlan.CACHE if one == name]:
        del FlyteLaunchPlan.CACHE[known]
    more = {"trigger": trigger} if trigger is not None else {}
    register_all(FlyteLaunchPlan.create(name, of, **more), version=version, project="flytesnacks")
    row = LaunchPlan.objects.get(name=name, version=version)
    if active:
        set_state(row, LaunchPlan.State.ACTIVE, actor="ada")
        row.refresh_from_db()
    return row


def wish(*members: str, **over: Any) -> Wish:
    return Wish(**{"dataset": DATASET, "members": list(members), "metric": "auc", **over})


def rides(number: int, *, look: bool = True) -> ArtifactVersion:
    """A version of the dataset, for which triggers have been evaluated."""
    _since_ever()
    version = publish_output(RIDES, number, execution=f"rides{number}", at=later(number)).versions[0][1]
    if look:
        evaluate_version(version.pk)
    return version


def _since_ever() -> None:
    """Versions of the tests are older than the tests: triggers are taken for older still."""
    Trigger.objects.update(activated_at=datetime(2020, 1, 1, tzinfo=timezone.utc))


def run_of(member: str, dataset: ArtifactVersion) -> Execution:
    return Execution.objects.get(launch_plan__name=member, firings__version=dataset)


def trained(member: str, dataset: ArtifactVersion, auc: float | None = None, *, minute: int = 0) -> ArtifactVersion:
    """What the member's run on the dataset published, as its last task would have."""
    run = run_of(member, dataset)
    metadata = {} if auc is None else {"_um": json.dumps({"auc": auc})}
    at = later(int((dataset.created_at - later(0)).total_seconds() // 60) + minute)
    published = publish_output(MODEL, integer(len(member), metadata), execution=run.name, at=at)
    Execution.objects.filter(pk=run.pk).update(phase=ExecutionPhase.SUCCEEDED, ended_at=at)
    return published.versions[0][1]


class World:
    """Two members with a model each, the champion that of the first, and a batch inference."""

    def __init__(self) -> None:
        plan("linear", trigger=ON_RIDES)
        plan("forest")
        self.infer = plan("infer", infer)
        self.contest = set_contest(
            *PLACE, wish("linear", "forest", shadow_plan="infer", shadow_input="model"), actor="ada"
        )
        self.data = rides(1)
        self.champion = trained("linear", self.data, 0.9)
        self.challenger = trained("forest", self.data, 0.8, minute=1)
        move_alias(self.champion, "champion", actor="root", mover=ADMIN)

    def production(self, model: ArtifactVersion, **over: Any) -> Execution:
        """The batch inference launched with a model on the data."""
        inputs = literals_pb2.LiteralMap()
        for name, version in (("model", model), ("rides", self.data)):
            literal = literals_pb2.Literal.FromString(bytes(version.literal))
            inputs.literals[name].CopyFrom(literals.carry(literal, version.pk))
        identifier = identifier_pb2.Identifier(
            resource_type=identifier_pb2.LAUNCH_PLAN,
            project="flytesnacks",
            domain="development",
            name=self.infer.name,
            version=self.infer.version,
        )
        spec = execution_pb2.ExecutionSpec(launch_plan=identifier)
        request = LaunchRequest("flytesnacks", "development", "", spec, inputs)
        execution = launch(request, actor="bob", **over)
        settle()
        return execution
