"""A model is trained, its evaluation stands in a deck, a person approves it, and only then it is released.

Whoever wants the released model asks for the newest version of `released-model`; nobody calls this workflow's author.
"""

from datetime import timedelta
from typing import Annotated

import pandas as pd
from causeway import Artifact, ModelCard, decks
from flytekit import approve, task, workflow
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

Candidate = Artifact(name="candidate-model")
Released = Artifact(name="released-model")


@task(cache=True, cache_version="1")
def load() -> pd.DataFrame:
    """Replace it with your own data: a frame whose column `target` is what is to be told."""
    return load_iris(as_frame=True).frame


@task(retries=1)
def train(rows: pd.DataFrame, regularisation: float) -> Annotated[LogisticRegression, Candidate]:
    known, _ = split(rows)
    model = LogisticRegression(C=regularisation, max_iter=500).fit(known.drop(columns="target"), known["target"])
    card = ModelCard(f"# Candidate\n\nLogistic regression, C={regularisation}, {len(known)} rows.")
    return Candidate.create_from(model, card)


@task(enable_deck=True)
def evaluate(model: LogisticRegression, rows: pd.DataFrame) -> float:
    _, unseen = split(rows)
    told = model.predict(unseen.drop(columns="target"))
    decks.show(decks.confusion_matrix(unseen["target"], told), name="Evaluation")
    return float((told == unseen["target"]).mean())


def split(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    known, unseen = train_test_split(rows, test_size=0.3, random_state=0)
    return known, unseen


@task
def release(model: LogisticRegression, accuracy: float) -> Annotated[LogisticRegression, Released]:
    return Released.create_from(model, ModelCard(f"# Released\n\nAccuracy {accuracy:.3f} on unseen rows."))


@workflow
def train_and_approve(regularisation: float = 1.0) -> LogisticRegression:
    rows = load()
    model = train(rows=rows, regularisation=regularisation)
    accuracy = evaluate(model=model, rows=rows)
    approved = approve(accuracy, "release-this-model", timeout=timedelta(days=7))
    return release(model=model, accuracy=approved)
