"""Who works there, what they run and what comes of it. Nothing here knows the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

REGIONS = ("SEA", "LAX", "NYC", "BOS", "CHI")
DAYS = 60
DOMAIN = "development"
PROJECTS = ("retail", "mobility", "risk")
STORM = "heartbeat"  # the launch plan whose trigger fires without end
PER_REGION = ("fraud-model",)  # each region has a champion of its own
PEOPLE = {  # and their roles by project
    "ann": {"retail": "admin"},
    "ben": {"retail": "contributor", "mobility": "viewer"},
    "chloe": {"mobility": "admin", "risk": "viewer"},
    "dev": {"mobility": "contributor"},
    "emma": {"risk": "admin"},
    "farid": {"risk": "approver", "retail": "viewer"},
}


@dataclass(frozen=True)
class Thing:
    """An artifact. `granularity`: of its time partition, 0 for none; `metrics`: by name, around what and how far."""

    project: str
    name: str
    kind: str
    keys: Sequence[str] = ("region",)
    granularity: int = 0
    metrics: tuple[tuple[str, float, float], ...] = ()
    size: int = 50_000_000
    about: str = ""


@dataclass(frozen=True)
class Step:
    """A node. `share`: of the execution's time; `items`: of a map; `gate`: the signal it waits for."""

    node: str
    task: str = ""
    share: float = 1.0
    cpu: float = 1.0
    memory: int = 1 << 30
    gpu: int = 0
    items: int = 0
    gate: str = ""
    deck: bool = False


@dataclass(frozen=True)
class Plan:
    """A launch plan and what its executions are like. `outputs`: node and artifact; `uses`: artifacts and by what
    input; `weight`: how often, of all that is not nightly.
    """

    project: str
    name: str  # behind `{region}` in lower case, where each region has one
    workflow: str
    steps: tuple[Step, ...]
    seconds: float
    weight: float = 0.0
    outputs: tuple[tuple[str, str], ...] = ()
    uses: tuple[tuple[str, str], ...] = ()
    mode: int = 0  # ExecutionMode
    people: tuple[str, ...] = ("ann",)
    failing: float = 0.05
    errors: tuple[str, ...] = ("values",)

    @property
    def is_nightly(self) -> bool:
        return "{region}" in self.name

    def name_in(self, region: str) -> str:
        return self.name.format(region=region.lower())


THINGS = {
    one.name: one
    for one in (
        Thing(
            "retail",
            "sales-daily",
            "dataset",
            granularity=3,
            metrics=(("rows", 180_000, 30_000), ("null_share", 0.01, 0.006)),
            about="What the tills took in.",
        ),
        Thing(
            "retail",
            "features-daily",
            "dataset",
            granularity=3,
            metrics=(("rows", 90_000, 9_000), ("columns", 64, 2)),
            about="Sales as models want them.",
        ),
        Thing(
            "retail",
            "demand-model",
            "model",
            metrics=(("mape", 0.12, 0.02), ("rmse", 41, 6), ("r2", 0.88, 0.03), ("train_seconds", 610, 90)),
            about="How much of what will be sold where.",
        ),
        Thing(
            "retail", "store-forecast", "dataset", metrics=(("stores", 220, 4),), about="The next fortnight, by store."
        ),
        Thing(
            "mobility",
            "trips-hourly",
            "dataset",
            metrics=(("trips", 5_200, 1_400),),
            about="Trips that ended in an hour.",
        ),
        Thing(
            "mobility",
            "eta-model",
            "model",
            metrics=(("mae_minutes", 2.3, 0.4), ("p90_minutes", 5.1, 0.7), ("train_seconds", 1_900, 240)),
            about="When a car will arrive.",
        ),
        Thing("mobility", "fleet-ping", "value", size=200, about="A car says that it is there."),
        Thing("mobility", "fleet-seen", "file", size=600, about="Cars that were there."),
        Thing(
            "risk", "payments-daily", "dataset", metrics=(("payments", 2_400_000, 300_000),), about="Payments of a day."
        ),
        Thing(
            "risk",
            "fraud-model",
            "model",
            metrics=(("auc", 0.93, 0.02), ("f1", 0.81, 0.03), ("loss", 0.21, 0.04), ("train_seconds", 4_100, 400)),
            about="Which payments are false.",
        ),
    )
}

GIB = 1 << 30
_RETAIL, _MOBILITY, _RISK = ("examples.company.retail.", "examples.company.mobility.", "examples.company.risk.")
PLANS = (
    Plan(
        "retail",
        "nightly_{region}",
        f"{_RETAIL}nightly_features",
        (Step("n0", f"{_RETAIL}load_sales", 0.3, 1, 2 * GIB), Step("n1", f"{_RETAIL}make_features", 0.7, 2, 4 * GIB)),
        340,
        outputs=(("n0", "sales-daily"), ("n1", "features-daily")),
        mode=1,
        failing=0.04,
        errors=("source", "values"),
    ),
    Plan(
        "retail",
        "train_on_features",
        f"{_RETAIL}train_demand_model",
        (
            Step("n0", f"{_RETAIL}train_demand", 0.9, 4, 8 * GIB),
            Step("n1", f"{_RETAIL}examine_demand", 0.1, 1, 2 * GIB, deck=True),
        ),
        640,
        20,
        (("n0", "demand-model"),),
        (("features-daily", "features"),),
        6,
        failing=0.07,
        errors=("memory", "values"),
    ),
    Plan(
        "retail",
        f"{_RETAIL}score_stores",
        f"{_RETAIL}score_stores",
        (Step("n0", "map", 0.9, 1, GIB, items=220), Step("n1", f"{_RETAIL}join_forecast", 0.1, 1, 2 * GIB)),
        260,
        1.5,
        (("n1", "store-forecast"),),
        (("demand-model", "model"),),
        people=("ann", "ben"),
        failing=0.1,
        errors=("item",),
    ),
    Plan(
        "mobility",
        "trips_every_hour",
        f"{_MOBILITY}hourly_trips",
        (Step("n0", f"{_MOBILITY}ingest_trips", 1, 1, GIB),),
        45,
        40,
        (("n0", "trips-hourly"),),
        mode=1,
        people=("chloe",),
        failing=0.03,
        errors=("source",),
    ),
    Plan(
        "mobility",
        f"{_MOBILITY}train_eta_model",
        f"{_MOBILITY}train_eta_model",
        (Step("n0", f"{_MOBILITY}train_eta", 1, 4, 16 * GIB, gpu=1),),
        1_900,
        8,
        (("n0", "eta-model"),),
        (("trips-hourly", "trips"),),
        people=("dev", "chloe"),
        failing=0.12,
        errors=("cuda", "memory"),
    ),
    Plan(
        "mobility",
        "heartbeat",
        f"{_MOBILITY}fleet_heartbeat",
        (Step("n0", f"{_MOBILITY}note_ping", 1, 0.1, GIB // 8),),
        2,
        14,
        (("n0", "fleet-seen"),),
        (("fleet-ping", "ping"),),
        6,
        ("chloe",),
        0.01,
        ("source",),
    ),
    Plan(
        "risk",
        "payments_nightly",
        f"{_RISK}daily_payments",
        (Step("n0", f"{_RISK}collect_payments", 1, 2, 4 * GIB),),
        420,
        10,
        (("n0", "payments-daily"),),
        mode=1,
        people=("emma",),
        errors=("source", "values"),
    ),
    Plan(
        "risk",
        f"{_RISK}train_fraud_model",
        f"{_RISK}train_fraud_model",
        (Step("n0", f"{_RISK}train_fraud", 1, 8, 32 * GIB),),
        4_200,
        5,
        (("n0", "fraud-model"),),
        (("payments-daily", "payments"),),
        people=("emma", "farid"),
        failing=0.09,
        errors=("memory", "values"),
    ),
)
GATED = (  # executions that wait for a person
    Plan(
        "retail",
        f"{_RETAIL}approve_demand_model",
        f"{_RETAIL}approve_demand_model",
        (Step("n0", f"{_RETAIL}examine_demand", 1, 1, 2 * GIB, deck=True), Step("n1", gate="approve_demand_model")),
        60,
        uses=(("demand-model", "model"),),
        people=("ben",),
    ),
    Plan(
        "risk",
        f"{_RISK}approve_fraud_model",
        f"{_RISK}approve_fraud_model",
        (Step("n0", f"{_RISK}examine_fraud", 1, deck=True), Step("n1", gate="approve_fraud_model")),
        80,
        uses=(("fraud-model", "model"),),
        people=("emma",),
    ),
)


@dataclass(frozen=True)
class Fault:
    """`{region}` and `{number}` are filled in."""

    code: str
    message: str
    is_system: bool = False


def _raised(function: str, line: int, code: str, said: str) -> Fault:
    trace = (
        "Trace:\n\n    Traceback (most recent call last):\n"
        f'      File "/app/{function}.py", line {line}, in {function}\n'
        f"        raise {said.split(':', 1)[0]}(...)\n    {said}\n\nMessage:\n\n    {said}"
    )
    return Fault(code, trace)


FAULTS = {
    "values": _raised(
        "make_features", 88, "USER:ValueError", "ValueError: column 'price' has 1{number} values below zero"
    ),
    "source": _raised(
        "load_sales", 31, "USER:ConnectionError", "ConnectionError: warehouse-{region}.example: timed out after 30 s"
    ),
    "item": Fault("USER:KeyError", "1 of 220 items failed; first: item 1{number}: KeyError: 'store 4{number}'"),
    "memory": Fault("OOMKilled", "the task used more memory than its limit: 8.1 GiB of 8 GiB"),
    "cuda": _raised(
        "train_eta", 140, "USER:RuntimeError", "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB"
    ),
    "node": Fault("NodeLost", "the machine gpu-{number} went away", is_system=True),
}

LINES = (
    "INFO  reading s3://warehouse/{region}/2026",
    "DEBUG opened 14 files, 1.2 GB",
    "INFO  180,233 rows of {region}",
    "WARNING 312 rows have no price and are left out",
    "INFO  epoch 1: loss 0.412",
    "INFO  epoch 2: loss 0.297",
    "INFO  epoch 3: loss 0.251",
    "INFO  written to the store",
)


@dataclass
class Sizes:
    """How much is made up."""

    versions: int = 6_000
    executions: int = 3_000
    map_items: int = 220
    storm: int = 900  # firings within the last quarter of an hour
    waiting: int = 6  # approvals
    seed: int = field(default=7)
