"""Comparing over REST: the same as the page says, and nobody learns what he may not read."""

from __future__ import annotations

from tests.console.rest.conftest import Caller, problem
from tests.console.rest.test_artifacts import publish

URL = "/api/v1/artifact-versions/compare"


def made(api: Caller, name: str, project: str = "demo", **metrics: float) -> int:
    url = f"/api/v1/artifacts/{project}/development/{name}"
    return int(publish(api("root"), url, version="v1", kind="model", metrics=metrics, card=f"# {name}")["id"])


def test_it_compares_versions(api: Caller) -> None:
    old, new = made(api, "old", auc=0.8, rows=1), made(api, "new", auc=0.9, rows=2)
    found = api("vic").get(f"{URL}?versions={old},{new}&less=rows").json()

    auc, rows = found["measures"]
    assert found["compared"] == [str(old), str(new)] and found["base"] == 0
    assert (auc["better"], auc["deltas"][1]["verdict"], auc["best"]) == ("more", "better", [1])
    assert (rows["is_said"], rows["deltas"][1]["verdict"]) == (True, "worse")
    assert "+# new" in found["cards"]["1"]
    artifact = next(line for line in found["facts"] if line["name"] == "artifact")
    assert artifact["values"] == ["demo/development/old", "demo/development/new"] and artifact["differs"]


def test_the_base_may_be_another(api: Caller) -> None:
    old, new = made(api, "old", auc=0.8), made(api, "new", auc=0.9)
    found = api("vic").get(f"{URL}?versions={old},{new}&base={new}").json()
    assert found["base"] == 1 and found["measures"][0]["deltas"][0]["verdict"] == "worse"
    problem(api("vic").get(f"{URL}?versions={old},{new}&base=7"), 400)


def test_bad_questions_are_refused(api: Caller) -> None:
    secret = made(api, "secret", project="elsewhere", auc=0.5)
    vic = api("vic")
    problem(vic.get(f"{URL}?versions={secret}"), 404)
    for query in ("", "versions=", "versions=x", "versions=" + ",".join(str(at) for at in range(1, 20)), "ids=1"):
        problem(vic.get(f"{URL}?{query}"), 400)
    problem(vic.get("/api/v1/executions/compare?executions=x"), 400)
    problem(vic.get("/api/v1/executions/compare?executions=demo/development/none"), 404)
