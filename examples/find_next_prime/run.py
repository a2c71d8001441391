"""Starts the search at a prime, watches it go on by itself, and stops it by deactivating the launch plan."""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from causeway.client import Client
from flytekit.configuration import Config
from flytekit.models.launch_plan import LaunchPlanState
from flytekit.remote import FlyteRemote

HERE = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoint", help="one that wants no token; left out, FLYTECTL_CONFIG says where to")
    parser.add_argument("--version", default="v1")
    parser.add_argument("--start", type=int, default=2)
    parser.add_argument("--until", type=int, default=100)
    args = parser.parse_args()

    platform = {"FLYTE_PLATFORM_URL": args.endpoint, "FLYTE_PLATFORM_INSECURE": "true"} if args.endpoint else {}
    command = [str(Path(sys.executable).with_name("pyflyte")), "register", "--version", args.version, "."]
    subprocess.run(command, cwd=HERE, env=os.environ | platform, check=True)
    config = Config.for_endpoint(args.endpoint, insecure=True) if args.endpoint else Config.auto()
    remote = FlyteRemote(config, default_project="flytesnacks", default_domain="development")
    plan = remote.fetch_launch_plan(name="find_next_prime_again", version=args.version)
    remote.client.update_launch_plan(plan.id, LaunchPlanState.ACTIVE)
    try:
        remote.execute(plan, inputs={"prime": args.start}, wait=True)
        client, largest = Client(), 0
        while largest < args.until:
            newest = client.get("largest-prime").value
            if newest != largest:
                largest = newest
                print(largest, flush=True)
            time.sleep(0.1)
    finally:
        remote.client.update_launch_plan(plan.id, LaunchPlanState.INACTIVE)


if __name__ == "__main__":
    main()
