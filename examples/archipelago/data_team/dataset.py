"""The data team publishes `ml-dataset`, one version a region, and tells the others nothing but that name."""

from typing import Annotated

import pandas as pd
from causeway import DataCard
from flytekit import task, workflow
from flytekit.core.artifact import Artifact, Inputs
from sklearn.datasets import load_breast_cancer

MLDataset = Artifact(name="ml-dataset", partition_keys=["region"])

REGIONS = ("north", "south")


def card(region: str, frame: pd.DataFrame) -> str:
    counts = frame["target"].value_counts()
    summary = frame.describe().T[["mean", "std", "min", "max"]].head(8).round(3)
    return f"""# Breast cancer measurements, {region}

Diagnostic measurements of cell nuclei (Wisconsin, 1995), as shipped with scikit-learn; the rows are dealt to
{len(REGIONS)} regions in turn.

| | |
|---|---|
| Rows | {len(frame)} |
| Features | {frame.shape[1] - 1} |
| Malignant / benign | {counts.get(0, 0)} / {counts.get(1, 0)} |

## First features

{summary.to_markdown()}

**Known gaps:** one hospital, one decade; not for diagnosis.
"""


@task
def create_ml_dataset(region: str) -> Annotated[pd.DataFrame, MLDataset(region=Inputs.region)]:
    if region not in REGIONS:
        raise ValueError(f"no data for region {region!r}; there is data for {', '.join(REGIONS)}")
    frame = load_breast_cancer(as_frame=True).frame
    mine = frame.iloc[REGIONS.index(region) :: len(REGIONS)].reset_index(drop=True)
    return MLDataset.create_from(mine, DataCard(card(region, mine)))


@workflow
def publish_ml_dataset(region: str = "north") -> pd.DataFrame:
    return create_ml_dataset(region=region)
