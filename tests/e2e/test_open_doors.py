"""Other tools as they are on PyPI, against a real Causeway: what they make becomes versions that set off launch plans.

Each lab has an environment of its own, from a pinned file, which is some hundred megabytes: they run where
CAUSEWAY_LABS names them (`CAUSEWAY_LABS=openlineage,mlflow`, or `all`).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from causeway.client import Client

from tests.e2e.environments import UV, environment
from tests.e2e.flytekit_user import DOMAIN, PROJECT, FlytekitUser
from tests.stack import RunningStack

pytestmark = pytest.mark.e2e

SDK = str(Path(__file__).resolve().parents[2] / "sdk")
LABS = Path(__file__).parent / "labs.d"
ASKED = {name.strip() for name in os.environ.get("CAUSEWAY_LABS", "").replace("1", "all").split(",") if name.strip()}
PATIENCE = 120.0  # seconds
COMMAND = "from causeway.cli import main; main()"


class Lab:
    """Python programs of an environment of their own, with the SDK of this checkout beside it."""

    def __init__(self, commands: Path, stack: RunningStack, folder: Path) -> None:
        self.commands, self.stack, self.folder = commands, stack, folder
        self.client = Client(stack.http_url, stack.admin_token, PROJECT, DOMAIN)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "VIRTUAL_ENV"))}
        self.environment = {
            **kept,
            "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": SDK,
            "CAUSEWAY_URL": stack.http_url,
            "CAUSEWAY_TOKEN": stack.admin_token,
            "HOME": str(folder),
        }

    def run(self, *command: str, cwd: Path | None = None, **variables: str) -> str:
        done = subprocess.run(
            [str(self.commands / command[0]), *command[1:]],
            cwd=cwd or self.folder,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    def python(self, text: str, **variables: str) -> str:
        return self.run("python", "-c", text, cwd=None, **variables)

    def causeway(self, *words: str, **variables: Any) -> Any:
        """The command of this checkout, which needs nothing of the lab's libraries unless it says so."""
        return json.loads(self.run("python", "-c", COMMAND, *words, "--json", cwd=None, **variables))

    def serve(self, *command: str, address: str, **variables: str) -> subprocess.Popen[bytes]:
        """A server of the lab's, once it answers at the address."""
        log = (self.folder / "server.log").open("wb")
        process = subprocess.Popen(
            [str(self.commands / command[0]), *command[1:]],
            cwd=self.folder,
            env={**self.environment, **variables},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert process.poll() is None, (self.folder / "server.log").read_text()[-3000:]
            try:
                if requests.get(address, timeout=2).ok:
                    return process
            except requests.RequestException:
                time.sleep(0.5)
        os.killpg(process.pid, signal.SIGKILL)
        raise AssertionError((self.folder / "server.log").read_text()[-3000:])

    def launched(self, artifact: str) -> bool:
        """Whether the launch plan that watches the artifact was set off."""
        plan = f"on-{artifact}"
        return until(
            lambda: any(
                one["launch_plan"]["name"] == plan
                for one in self.client.connection.pages("executions", project=PROJECT, domain=DOMAIN)
            )
        )


def until(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def watching(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> RunningStack:
    """Launch plans that watch the artifacts of all labs."""
    user = FlytekitUser(stack, tmp_path_factory.mktemp("doors") / "programs")
    said = user.pyflyte("register", "-p", PROJECT, "-d", DOMAIN, "--version", "v1", "--activate-launchplans", "doors")
    assert "Successfully registered" in said
    return stack


@pytest.fixture
def lab(request: pytest.FixtureRequest, watching: RunningStack, tmp_path: Path) -> Lab:
    """Of the name that the test gives: `@pytest.mark.parametrize("lab", ["mlflow"], indirect=True)`."""
    return Lab(made_environment(request.param, request), watching, tmp_path)


_made: dict[str, Path] = {}  # for all tests of a lab


def made_environment(name: str, request: pytest.FixtureRequest) -> Path:
    if name not in _made:
        factory: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
        _made[name] = environment(LABS / f"{name}.txt", factory.mktemp(name) / "environment")
    return _made[name]


def of(name: str) -> pytest.MarkDecorator:
    """Where the lab is not asked for, nothing is started for it."""
    asked = ASKED & {name, "all"} or f"CAUSEWAY_LAB_{name.upper()}" in os.environ
    skip = pytest.mark.skipif(
        not asked, reason=f"the lab of {name} runs where CAUSEWAY_LABS={name} (or all) asks for it"
    )
    return pytest.mark.parametrize("lab", [pytest.param(name, marks=skip, id=name)], indirect=True)


@pytest.fixture
def rules(watching: RunningStack) -> Iterator[None]:
    client = Client(watching.http_url, watching.admin_token, PROJECT, DOMAIN)
    place = {"project": PROJECT, "domain": DOMAIN}
    rule = {"namespace": "duckdb://*", "name": "*.{table}", "artifact": "mart-{table}"}
    made = client.connection.call("POST", "lineage/rules", json={**place, **rule})
    yield
    client.connection.call("DELETE", f"lineage/rules/{made['id']}")


CLIENT = """
import sys, uuid
from datetime import datetime, timezone
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import output_statistics_output_dataset, parent_run, schema_dataset
from openlineage.client.uuid import generate_new_uuid

client = OpenLineageClient()
run = Run(str(generate_new_uuid()))
fields = [schema_dataset.SchemaDatasetFacetFields(name="id", type="long", description="of the order")]
facets = {"schema": schema_dataset.SchemaDatasetFacet(fields=fields)}
statistics = {"outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=7)}
inputs = [InputDataset("s3://landing", "orders.csv", facets=facets)]
outputs = [OutputDataset("duckdb://lab", "shop.sums", facets=facets, outputFacets=statistics)]
for state in (RunState.START, RunState.RUNNING, RunState.COMPLETE):
    now = datetime.now(timezone.utc).isoformat()
    said = {"run": run, "job": Job("lab", "client"), "producer": "https://lab", "inputs": inputs, "outputs": outputs}
    client.emit(RunEvent(eventType=state, eventTime=now, **said))
client.close()
print(run.runId)
"""


@of("openlineage")
@pytest.mark.parametrize(
    "transport",
    [{"type": "http"}, {"type": "http", "compression": "gzip"}, {"type": "async_http"}],
    ids=["plain", "gzip", "async"],
)
def test_the_openlineage_client_is_understood(lab: Lab, rules: None, transport: dict[str, Any]) -> None:
    key = {"type": "api_key", "apiKey": lab.stack.admin_token}
    config = {"transport": {**transport, "url": lab.stack.http_url, "auth": key}}
    (lab.folder / "openlineage.yml").write_text(json.dumps(config))
    run = lab.python(CLIENT, OPENLINEAGE_CONFIG=str(lab.folder / "openlineage.yml")).split()[-1]
    (found,) = lab.client.connection.pages("lineage/runs", run_id=run)
    whole = lab.client.connection.call("GET", f"lineage/runs/{found['id']}")
    assert whole["state"] == "COMPLETE"
    written = next(use for use in whole["uses"] if use["role"] == "output")
    assert written["version"]["artifact"].endswith("/mart-sums")
    assert lab.client.get("mart-sums", version=written["version"]["version"]).fields["metrics"] == {"rows": 7.0}
    assert lab.launched("mart-sums")


PROFILE = "lab: {target: dev, outputs: {dev: {type: duckdb, path: lab.duckdb}}}\n"


@of("openlineage")
def test_dbt_tells_of_its_models(lab: Lab) -> None:
    """`dbt-ol run` over DuckDB: each model is a job with a run, in a run of the whole."""
    (lab.folder / "models").mkdir()
    (lab.folder / "dbt_project.yml").write_text("{name: lab, version: 1.0.0, profile: lab, model-paths: [models]}\n")
    (lab.folder / "profiles.yml").write_text(PROFILE)
    (lab.folder / "models/orders.sql").write_text("select 1 as id, 2.5 as eur")
    (lab.folder / "models/totals.sql").write_text("select sum(eur) as eur from {{ ref('orders') }}")
    lab.run(
        "dbt-ol",
        "run",
        "--profiles-dir",
        ".",
        OPENLINEAGE_URL=lab.stack.http_url,
        OPENLINEAGE_API_KEY=lab.stack.admin_token,
        OPENLINEAGE_NAMESPACE="dbt-lab",
    )
    runs = [one for one in lab.client.connection.pages("lineage/runs") if one["job"]["namespace"] == "dbt-lab"]
    assert {one["state"] for one in runs} == {"COMPLETE"}
    uses = [
        (use["role"], use["dataset"]["name"].rpartition(".")[2])
        for run in runs
        for use in lab.client.connection.call("GET", f"lineage/runs/{run['id']}")["uses"]
    ]
    assert ("output", "orders") in uses
    assert ("input", "orders") in uses
    assert ("output", "totals") in uses


TRAINING = """
import mlflow
mlflow.set_experiment("churn-lab")
with mlflow.start_run() as run:
    mlflow.log_param("depth", 3)
    mlflow.log_metric("auc", 0.8)
    mlflow.log_metric("auc", 0.9)
    mlflow.log_text("weights", "model/weights.txt")
client = mlflow.MlflowClient()
client.create_registered_model("churn")
client.create_model_version("churn", f"{run.info.artifact_uri}/model", run.info.run_id)
print(run.info.run_id)
"""


@of("mlflow")
def test_runs_and_models_of_mlflow_become_versions_and_back(lab: Lab) -> None:
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    command = ("mlflow", "server", "--port", str(port), "--backend-store-uri", "sqlite:///mlflow.db", "--workers", "1")
    server = lab.serve(*command, address=f"{uri}/health")
    try:
        run = lab.python(TRAINING, MLFLOW_TRACKING_URI=uri).split()[-1]
        (model,) = lab.causeway("import", "mlflow", "--model", "churn", MLFLOW_TRACKING_URI=uri)
        assert (model["version"], model["kind"], model["metrics"]) == ("mlflow-1", "model", {"auc": 0.9})
        assert model["metadata"]["param.depth"] == "3"
        assert model["uri"].startswith(f"mlflow-artifacts://127.0.0.1:{port}/")
        (again,) = lab.causeway("import", "mlflow", "--model", "churn", MLFLOW_TRACKING_URI=uri)
        assert again["id"] == model["id"]
        (tracked,) = lab.causeway("import", "mlflow", "--experiment", "churn-lab", MLFLOW_TRACKING_URI=uri)
        assert (tracked["version"], tracked["metrics"]) == (run, {"auc": 0.9})
        assert lab.launched("churn")
        lab.client.create(
            "forecast", external_ref="s3://models/forecast", shape="directory", kind="model", version="v7"
        )
        made = [lab.causeway("export", "mlflow", "forecast", "forecast", MLFLOW_TRACKING_URI=uri) for _ in "ab"]
        assert made == [{"model": "forecast", "version": "1"}] * 2
        shown = lab.python(
            "import mlflow; v = mlflow.MlflowClient().get_model_version('forecast', '1'); print(v.source, v.tags)",
            MLFLOW_TRACKING_URI=uri,
        )
        assert "s3://models/forecast" in shown
        assert "forecast@v7" in shown
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # its workers too


IRISES = """
import joblib
from sklearn.linear_model import LogisticRegression
joblib.dump(LogisticRegression().fit([[5.1, 3.5], [6.7, 3.0]], [0, 2]), "irises.joblib")
"""


@of("mlflow")
def test_mlflows_server_serves_a_version(lab: Lab) -> None:
    """Without the SDK: what loads the model lies in its folder."""
    lab.python(IRISES)
    version = lab.client.create("irises", file=lab.folder / "irises.joblib", version="v1", kind="model")
    lab.causeway("export", "mlflow-model", "irises@v1", "served", "--allow-pickle")
    port = free_port()
    command = ("mlflow", "models", "serve", "-m", "served", "-p", str(port), "--env-manager", "local")
    server = lab.serve(*command, address=f"http://127.0.0.1:{port}/health", PYTHONPATH="")
    try:
        place = f"http://127.0.0.1:{port}/invocations"
        rows = [[5.1, 3.5], [6.7, 3.0]]
        for asked in ({"instances": rows}, {"dataframe_split": {"columns": [0, 1], "data": rows}}):
            assert requests.post(place, json=asked, timeout=60).json() == {"predictions": [0, 2]}
        named = requests.post(place, json={"instances": rows, "params": {"version": True}}, timeout=60).json()
        assert named == {"predictions": {"values": [0, 2], "version": version.address}}
        assert requests.post(place, json={"instances": [["a", "b"]]}, timeout=60).status_code == 400
    finally:
        os.killpg(server.pid, signal.SIGKILL)
    told = "import mlflow; print(mlflow.models.get_model_info('served').metadata['causeway.version'])"
    assert lab.python(told).split()[-1] == version.address


@of("mlflow")
def test_a_run_of_mlflow_within_a_task_says_its_execution(lab: Lab) -> None:
    """By MLflow's own search for entry points: the SDK is installed as tasks have it."""
    lab.run(str(UV), "pip", "install", "-q", "--no-deps", "--target", "site", SDK)
    text = "import mlflow; mlflow.set_tracking_uri('sqlite:///x.db'); print(mlflow.start_run().data.tags)"
    tags = lab.python(
        text,
        PYTHONPATH=str(lab.folder / "site"),
        FLYTE_INTERNAL_EXECUTION_PROJECT=PROJECT,
        FLYTE_INTERNAL_EXECUTION_DOMAIN=DOMAIN,
        FLYTE_INTERNAL_EXECUTION_ID="a1b2",
    )
    assert f"'causeway.execution': '{PROJECT}/{DOMAIN}/a1b2'" in tags
    assert "causeway" not in lab.python(text, PYTHONPATH=str(lab.folder / "site"))


@of("dvc")
def test_what_dvc_pushed_is_where_the_version_says(lab: Lab) -> None:
    (lab.folder / "orders.csv").write_text("id,eur\n1,2.5\n")
    for command in ("init --no-scm -q", "remote add -q -d store store", "add -q orders.csv", "push -q"):
        lab.run("dvc", *command.split())
    (version,) = lab.causeway("import", "dvc", "orders.csv.dvc", "--name", "orders")
    theirs = lab.python("import dvc.api; print(dvc.api.get_url('orders.csv'))").strip()
    assert version["uri"] == f"dvc://{Path(theirs).resolve().as_posix().lstrip('/')}"
    assert Path(theirs).read_text() == "id,eur\n1,2.5\n"
    assert lab.launched("orders")


PIPELINE = {
    "pyproject.toml": '[tool.kedro]\npackage_name = "lab"\nproject_name = "lab"\nkedro_init_version = "{kedro}"\n',
    "src/lab/__init__.py": "",
    "src/lab/settings.py": "from causeway.kedro import publishing\nHOOKS = (publishing(['sales']),)\n",
    "src/lab/pipeline_registry.py": (
        "from kedro.pipeline import node, pipeline\n"
        "def register_pipelines():\n"
        "    return {'__default__': pipeline([node(lambda: 'id,eur', None, 'sales', name='sell')])}\n"
    ),
    "conf/base/catalog.yml": "sales: {type: lab.texts.Text, filepath: data/sales.csv, versioned: true}\n",
    "conf/local/.keep": "",
    "src/lab/texts.py": (
        "from pathlib import PurePosixPath\n"
        "import fsspec\n"
        "from kedro.io import AbstractVersionedDataset\n"
        "from kedro.io.core import get_filepath_str, get_protocol_and_path\n"
        "class Text(AbstractVersionedDataset):\n"
        "    def __init__(self, filepath, version=None):\n"
        "        self._protocol, path = get_protocol_and_path(filepath, version)\n"
        "        self._fs = fsspec.filesystem(self._protocol)\n"
        "        super().__init__(PurePosixPath(path), version, self._fs.exists, self._fs.glob)\n"
        "    def load(self):\n"
        "        return open(get_filepath_str(self._get_load_path(), self._protocol)).read()\n"
        "    def save(self, data):\n"
        "        path = get_filepath_str(self._get_save_path(), self._protocol)\n"
        "        self._fs.mkdirs(path.rpartition('/')[0], exist_ok=True)\n"
        "        open(path, 'w').write(data)\n"
        "    def _describe(self):\n"
        "        return {'filepath': self._filepath}\n"
    ),
}


@of("kedro")
def test_what_kedro_saves_is_published(lab: Lab) -> None:
    kedro = lab.python("import kedro; print(kedro.__version__)").strip()
    for name, text in PIPELINE.items():
        path = lab.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("{kedro}", kedro))
    lab.run("kedro", "run", CAUSEWAY_PROJECT=PROJECT, KEDRO_DISABLE_TELEMETRY="1")
    version = lab.client.get("sales")
    assert version.fields["version"] in {path.name for path in (lab.folder / "data/sales.csv").iterdir()}
    assert version.fields["metadata"]["kedro.entry"] == "sales"
    (by_hand,) = lab.causeway("import", "kedro", str(lab.folder), "sales")
    assert by_hand["id"] == version.fields["id"], "the same version of the same entry"
    assert lab.launched("sales")


DAGSTER = """
import dagster
from causeway.dagster import publishing_sensor, version_sensor

@dagster.asset(key_prefix=["shop"])
def weather() -> dagster.MaterializeResult:
    return dagster.MaterializeResult(metadata={"dagster/row_count": 12, "uri": "s3://lake/weather.parquet"})

@dagster.op
def look() -> None: ...

@dagster.job
def on_prices() -> None:
    look()

out, into = publishing_sensor(["shop/weather"]), version_sensor("prices", job=on_prices)
external = version_sensor("prices", asset="prices", name="external")
definitions = dagster.Definitions(assets=[weather], jobs=[on_prices], sensors=[out, into, external])
repository = definitions.get_repository_def()

def evaluate(sensor, cursor):
    context = dagster.build_sensor_context(instance=instance, cursor=cursor, repository_def=repository)
    result = sensor.evaluate_tick(context)
    if result.skip_message and "looks at" not in result.skip_message and "published" not in result.skip_message:
        print("skipped", result.skip_message)
    return result

with dagster.instance_for_test() as instance:
    for _ in range(2):
        assert dagster.materialize([weather], instance=instance).success
    first = evaluate(out, None)
    again = evaluate(out, first.cursor)
    print("again:", again.skip_message)
    began, seen = evaluate(into, None), evaluate(external, None)
    from causeway import Client
    Client().create("prices", 1.5, version="p1")
    told = evaluate(into, began.cursor)
    print("launches:", [(one.run_key, one.tags["causeway/version"]) for one in told.run_requests])
    events = evaluate(external, seen.cursor).asset_events
    print("tells:", [(one.asset_key.to_user_string(), one.metadata["causeway/version"].value) for one in events])
    print("then:", len(evaluate(into, told.cursor).run_requests or []))
"""


@of("dagster")
def test_dagster_is_followed_and_follows(lab: Lab) -> None:
    said = lab.python(DAGSTER, CAUSEWAY_PROJECT=PROJECT)
    versions = list(lab.client.versions("weather"))
    assert len(versions) == 2
    assert {one.uri for one in versions} == {"s3://lake/weather.parquet"}
    assert {tuple(one.fields["metrics"].items()) for one in versions} == {(("dagster.row_count", 12.0),)}
    assert "again: published nothing" in said
    assert "'p1')]" in said.split("launches:")[1].splitlines()[0]
    assert "tells: [('prices', 'p1')]" in said
    assert "then: 0" in said
    assert lab.launched("weather")


PREFECT = """
from prefect import flow
from prefect.assets import materialize

@materialize("s3://lake/answers")
def answers() -> str:
    return "42"

@flow
def work() -> None:
    answers()

work()
"""


@of("prefect")
@pytest.mark.skipif(sys.version_info < (3, 11), reason="Prefect 3.9 wants Python 3.11")
def test_assets_of_prefect_become_versions_and_versions_events(lab: Lab) -> None:
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    server = lab.serve("prefect", "server", "start", "--port", str(port), address=f"{api}/health")
    try:
        lab.python(PREFECT, PREFECT_API_URL=api)
        assert until(lambda: bool(lab.causeway("import", "prefect", PREFECT_API_URL=api)))
        (version,) = lab.causeway("import", "prefect", PREFECT_API_URL=api)
        assert (version["name"], version["uri"]) == ("answers", "s3://lake/answers")
        assert len(list(lab.client.versions("answers"))) == 1
        assert lab.launched("answers")
        lab.client.create("tides", 3, version="t1")
        for _ in "ab":
            lab.causeway("export", "prefect", "tides", PREFECT_API_URL=api)

        def told() -> bool:
            asked = {"filter": {"event": {"name": ["causeway.version.published"]}}, "limit": 50}
            found = requests.post(f"{api}/events/filter", json=asked, timeout=30).json()["events"]
            return [one["resource"]["causeway.version"] for one in found] == ["t1"]

        assert until(told), "once, though told twice"
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # its workers too


WANDB = """
import wandb
said = {"depth": 3, "opt": {"lr": 0.1}}
with wandb.init(project="tides-lab", name="first", config=said, mode="offline", tags=["good"]) as run:
    run.log({"auc": 0.8})
    run.log({"auc": 0.9, "loss": {"test": 0.5}})
    with open("weights.txt", "w") as file:
        file.write("weights")
    model = wandb.Artifact("tide-model", type="model", metadata={"rows": 40})
    model.add_file("weights.txt")
    run.log_artifact(model, aliases=["best"])
try:
    with wandb.init(project="tides-lab", mode="offline") as run:
        raise RuntimeError("this one did not end well")
except RuntimeError:
    pass
"""


@of("wandb")
def test_runs_of_weights_and_biases_that_are_kept_offline_become_versions(lab: Lab) -> None:
    lab.python(WANDB)
    first, again = (lab.causeway("import", "wandb", "wandb", "--project", "tides-lab") for _ in "ab")
    assert [one["id"] for one in first] == [one["id"] for one in again]
    (run,) = lab.client.versions("tides-lab")
    assert run.metrics == {"auc": 0.9, "loss.test": 0.5}
    assert (run.metadata["param.opt.lr"], run.metadata["tags"], run.kind) == ("0.1", "good", "other")
    (model,) = lab.causeway("import", "wandb", "wandb", "--model", "tide-model")
    assert (model["kind"], model["metrics"]["auc"], model["metadata"]["rows"]) == ("model", 0.9, "40")
    assert model["version"].startswith("wandb-") and model["uri"].startswith("wandb://")
