"""`causeway import`: versions of what other tools keep, and `causeway export` the other way."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from causeway import trackers
from causeway.cli.options import json_option
from causeway.cli.output import say, show_rows
from causeway.cli.root import main
from causeway.client import Client
from causeway.trackers import Tracker
from causeway.version import Version

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
COLUMNS = ["project", "domain", "name", "version", "uri"]


@main.group("import")
def import_from() -> None:
    """Versions of what other tools keep. The same again publishes nothing twice."""


@import_from.command()
@click.option("--tracking-uri", help="[default: MLFLOW_TRACKING_URI]")
@click.option("--model", help="The versions of a registered model.")
@click.option("--experiment", help="The finished runs of an experiment.")
@click.option("--name", default="", help="Of the artifact.  [default: as MLflow calls it]")
@click.option("--follow", type=click.FloatRange(min=1), metavar="SECONDS", help="Look again that often, for ever.")
@json_option
@click.pass_obj
def mlflow(
    client: Client,
    tracking_uri: str | None,
    model: str | None,
    experiment: str | None,
    name: str,
    follow: float | None,
    as_json: bool,
) -> None:
    """Registered models or runs of an MLflow server, by reference, with metrics, parameters and tags."""
    from causeway.mlflow import MlflowTracker

    if (model is None) == (experiment is None):
        raise click.UsageError("give exactly one of --model and --experiment")
    tracker = MlflowTracker(tracking_uri)
    while True:
        _publish(client, tracker, model, experiment, name, as_json=as_json)
        if follow is None:
            return
        time.sleep(follow)


@import_from.command()
@click.argument("folder", type=FOLDER)
@click.option("--model", help="What runs logged as an artifact of the type model.")
@click.option("--project", help="The runs of a project that ended well.")
@click.option("--name", default="", help="Of the artifact.  [default: as Weights & Biases calls it]")
@json_option
@click.pass_obj
def wandb(client: Client, folder: Path, model: str | None, project: str | None, name: str, as_json: bool) -> None:
    """Runs of Weights & Biases that were kept offline in FOLDER (`wandb`), with metrics, configuration and tags."""
    from causeway.wandb import OfflineRuns

    if (model is None) == (project is None):
        raise click.UsageError("give exactly one of --model and --project")
    _publish(client, OfflineRuns(folder), model, project, name, as_json=as_json)


@import_from.command()
@click.argument("file", type=FILE)
@click.option("--output", help="Of several, the one at this path.")
@click.option("--name", default="", help="Of the artifact.  [default: the file's name without its suffix]")
@json_option
@click.pass_obj
def dvc(client: Client, file: Path, output: str | None, name: str, as_json: bool) -> None:
    """What FILE, a .dvc file or a dvc.lock, tracks: by reference to DVC's remote, under its hash."""
    from causeway import dvc as reader

    _show(reader.publish(client, file, output=output, name=name), as_json=as_json)


@import_from.command()
@click.argument("project", type=FOLDER)
@click.argument("entry")
@click.option("--env", help="Kedro's environment.  [default: the project's]")
@click.option("--name", default="", help="Of the artifact.  [default: the entry's name]")
@json_option
@click.pass_obj
def kedro(client: Client, project: Path, entry: str, env: str | None, name: str, as_json: bool) -> None:
    """ENTRY of the catalog of the Kedro PROJECT: uploaded from this machine, else by reference."""
    from causeway import kedro as reader

    _show([reader.publish_entry(client, project, entry, env=env, name=name)], as_json=as_json)


@import_from.command()
@click.option("--api-url", help="[default: PREFECT_API_URL]")
@json_option
@click.pass_obj
def prefect(client: Client, api_url: str | None, as_json: bool) -> None:
    """Assets that Prefect materialised, as long as it keeps its events."""
    from causeway import prefect as reader

    _show(list(reader.publish(client, reader.PrefectApi(api_url))), as_json=as_json)


@main.group("export")
def export_to() -> None:
    """Versions for other tools: registered with them, or written as they read them."""


@export_to.command("mlflow")
@click.argument("artifact")
@click.argument("model")
@click.option("--tracking-uri", help="[default: MLFLOW_TRACKING_URI]")
@json_option
@click.pass_obj
def register(client: Client, artifact: str, model: str, tracking_uri: str | None, as_json: bool) -> None:
    """Register a version of ARTIFACT (`name`, `name@version`, `name:alias`) with MLflow as a version of MODEL."""
    from causeway.mlflow import MlflowTracker

    number = MlflowTracker(tracking_uri).register(model, client.get(artifact))
    say({"model": model, "version": number}, f"{model} version {number}", as_json=as_json)


@export_to.command("mlflow-model")
@click.argument("artifact")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--loader", default="", metavar="MODULE:FUNCTION", help="Makes a model of the path.")
@click.option("--allow-pickle", is_flag=True, help="For forms that run code of whoever published them: joblib, pickle.")
@json_option
@click.pass_obj
def write_model(client: Client, artifact: str, folder: Path, loader: str, allow_pickle: bool, as_json: bool) -> None:
    """Write a version of ARTIFACT into FOLDER as `mlflow models serve` reads models; MLflow is not needed for it."""
    from causeway.mlflow_models import write

    version = client.get(artifact)
    path = write(version, folder, loader=loader, allow_pickle=allow_pickle)
    say({"path": str(path), "version": version.version}, str(path), as_json=as_json)


@export_to.command("kserve")
@click.argument("artifact")
@click.option("--service", default="", help="Its name.  [default: the artifact's]")
@click.option("--namespace", default="")
@click.option("--format", "model_format", default="", help="sklearn, mlflow ...  [default: told from the files]")
@click.option("--storage-uri", default="", help="[default: where the version lies]")
@click.option("--runtime", default="", help="[default: KServe's choice]")
@click.option("--account", default="", help="The service account whose secrets open the store.")
@json_option
@click.pass_obj
def write_service(client: Client, /, artifact: str, as_json: bool, **options: str) -> None:
    """Print a version of ARTIFACT as KServe's InferenceService, for `kubectl apply --server-side -f -`."""
    from causeway.kserve import inference_service

    manifest = inference_service(client.get(artifact), **options)  # type: ignore[arg-type]
    say(manifest, json.dumps(manifest, indent=2), as_json=as_json)


@export_to.command("prefect")
@click.argument("artifact")
@click.option("--api-url", help="[default: PREFECT_API_URL]")
@json_option
@click.pass_obj
def tell(client: Client, artifact: str, api_url: str | None, as_json: bool) -> None:
    """Tell Prefect of a version of ARTIFACT, as the event causeway.version.published, for its automations."""
    from causeway.prefect import PUBLISHED, PrefectApi

    version = client.get(artifact)
    PrefectApi(api_url).tell(version)
    say({"event": PUBLISHED, "version": version.fields["version"]}, f"{PUBLISHED} is told", as_json=as_json)


def _publish(
    client: Client, tracker: Tracker, model: str | None, experiment: str | None, name: str, *, as_json: bool
) -> None:
    found = tracker.models(model) if model is not None else tracker.runs(experiment or "")
    _show(list(trackers.publish(client, found, artifact=name)), as_json=as_json)


def _show(versions: list[Version], *, as_json: bool) -> None:
    show_rows([version.fields for version in versions], COLUMNS, as_json=as_json)
