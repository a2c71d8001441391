"""Asks the newest `deployment` of a region for predictions, as an application would: by the artifact's name alone."""

import argparse
import json
import subprocess
import sys
import tempfile

from causeway.client import Client
from sklearn.datasets import load_breast_cancer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--region", default="north", choices=["north", "south"])
    parser.add_argument("--rows", type=int, default=5)
    args = parser.parse_args()

    deployment = Client().get("deployment", partitions={"region": args.region})
    rows = load_breast_cancer(as_frame=True).frame.head(args.rows)
    with tempfile.TemporaryDirectory() as folder:
        path = deployment.download(folder)
        answer = subprocess.run(
            [sys.executable, str(path / "predict.py")],
            input=rows.drop(columns="target").to_json(orient="records"),
            capture_output=True,
            text=True,
            check=True,
        )
    for probability, target in zip(json.loads(answer.stdout), rows["target"], strict=True):
        print(f"benign with probability {probability:.3f}; it was {'benign' if target else 'malignant'}")


if __name__ == "__main__":
    main()
