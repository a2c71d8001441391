"""Registers the four teams' workflows, activates their triggers and publishes the first dataset.

From there nobody calls anybody: the dataset starts the training, the model starts its evaluation, and a person's
approval starts the deployment.
"""

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flytekit.configuration import Config
from flytekit.remote import FlyteRemote

HERE = Path(__file__).resolve().parent
TEAMS = ("data_team", "ml_team", "evaluation", "deploy_team")


def register(team: str, args: argparse.Namespace) -> None:
    """What each team does in its own repository."""
    command = [str(Path(sys.executable).with_name("pyflyte")), "register", "--activate-launchplans"]
    command += ["--project", args.project, "--domain", args.domain, "--version", args.version, "."]
    platform = {"FLYTE_PLATFORM_URL": args.endpoint, "FLYTE_PLATFORM_INSECURE": "true"} if args.endpoint else {}
    run = subprocess.run(command, cwd=HERE / team, env=os.environ | platform, capture_output=True, text=True)
    if run.returncode != 0:
        raise SystemExit(f"registering {team} failed:\n{run.stdout}{run.stderr}")
    print(f"registered {team}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoint", help="one that wants no token; left out, FLYTECTL_CONFIG says where to")
    parser.add_argument("--project", default="flytesnacks")
    parser.add_argument("--domain", default="development")
    parser.add_argument("--version", default="v1", help="registering a version twice changes nothing")
    parser.add_argument("--region", default="north", choices=["north", "south"])
    args = parser.parse_args()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda team: register(team, args), TEAMS))
    remote = FlyteRemote(
        Config.for_endpoint(args.endpoint, insecure=True) if args.endpoint else Config.auto(),
        default_project=args.project,
        default_domain=args.domain,
    )
    plan = remote.fetch_launch_plan(name="data_team.dataset.publish_ml_dataset", version=args.version)
    execution = remote.execute(plan, inputs={"region": args.region})
    print(f"publishing ml-dataset of {args.region}: execution {execution.id.name}", flush=True)


if __name__ == "__main__":
    main()
