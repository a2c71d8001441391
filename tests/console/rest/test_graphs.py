from __future__ import annotations

from typing import Any

import pytest

from artifacts.models import ArtifactVersion
from console.accounts.models import Role, RoleBinding, User
from lineage.actions.record import record_derivations
from tests.console.rest.conftest import Caller, problem
from tests.console.rest.test_artifacts import publish

BY_ID = "/api/v1/artifact-versions"


@pytest.fixture
def chain(api: Caller, cast: dict[str, User]) -> dict[str, int]:
    """secret (elsewhere) and raw made clean, clean made model; executions are of demo."""
    root = api("root")
    made = {}
    for name, project, kind in (
        ("secret", "elsewhere", "dataset"),
        ("raw", "demo", "dataset"),
        ("clean", "demo", "dataset"),
        ("model", "demo", "model"),
    ):
        url = f"/api/v1/artifacts/{project}/development/{name}"
        made[name] = publish(root, url, version="v1", kind=kind, metrics={"auc": 0.5}, card=f"# {name}")["id"]
        ArtifactVersion.objects.filter(pk=made[name]).update(
            execution_key=f"{project}/development/e-{name}", producer=f"workflow:make.{name}@v1"
        )
    pairs = [("secret", "clean"), ("raw", "clean"), ("clean", "model")]
    record_derivations((made[source], made[target]) for source, target in pairs)
    return made


def test_it_shows_the_ancestry_with_stubs_for_what_may_not_be_read(
    api: Caller, chain: dict[str, int], django_assert_num_queries: Any
) -> None:
    vic = api("vic")
    found = vic.get(f"{BY_ID}/{chain['model']}/lineage").json()
    assert [(node["id"], node["depth"], node["hidden"]) for node in found["nodes"]] == [
        (chain["model"], 0, False),
        (chain["clean"], 1, False),
        (chain["raw"], 2, False),
        (chain["secret"], 2, True),
    ]
    assert found["nodes"][3] == {"id": chain["secret"], "hidden": True, "depth": 2}
    assert {(edge["source"], edge["target"]) for edge in found["edges"]} == {
        (chain["clean"], chain["model"]),
        (chain["raw"], chain["clean"]),
        (chain["secret"], chain["clean"]),
    }
    assert not found["truncated"] and found["direction"] == "upstream"
    with django_assert_num_queries(6):
        vic.get(f"{BY_ID}/{chain['model']}/lineage")


def test_it_goes_downstream_as_far_as_asked(api: Caller, chain: dict[str, int]) -> None:
    vic = api("vic")
    down = vic.get(f"{BY_ID}/{chain['raw']}/lineage?direction=downstream&depth=1").json()
    assert [node["id"] for node in down["nodes"]] == [chain["raw"], chain["clean"]]
    few = vic.get(f"{BY_ID}/{chain['model']}/lineage?limit=2").json()
    assert few["truncated"] and len(few["nodes"]) == 2
    for query in ("direction=sideways", "depth=0", "limit=0", "limit=99999999", "format=xml", "huh=1"):
        problem(vic.get(f"{BY_ID}/{chain['model']}/lineage?{query}"), 400)
    problem(vic.get(f"{BY_ID}/{chain['secret']}/lineage"), 404)
    problem(vic.get(f"{BY_ID}/999999/lineage"), 404)


def test_it_says_of_each_whether_it_is_out_of_date_where_asked(api: Caller, chain: dict[str, int]) -> None:
    publish(api("root"), "/api/v1/artifacts/demo/development/raw", version="v2", kind="dataset")
    found = api("vic").get(f"{BY_ID}/{chain['model']}/lineage?stale=1").json()
    assert {node["id"]: node.get("stale") for node in found["nodes"]} == {
        chain["model"]: False,
        chain["clean"]: True,
        chain["raw"]: False,
        chain["secret"]: None,
    }
    assert "stale" not in api("vic").get(f"{BY_ID}/{chain['model']}/lineage").json()["nodes"][0]


def test_it_exports_dot_mermaid_and_openlineage(api: Caller, chain: dict[str, int]) -> None:
    vic = api("vic")
    dot = vic.get(f"{BY_ID}/{chain['model']}/lineage?format=dot")
    assert dot["Content-Type"].startswith("text/vnd.graphviz")
    text = dot.content.decode()
    assert text.startswith("digraph") and "raw@v1" in text and "secret" not in text and "not visible" in text
    assert "flowchart LR" in vic.get(f"{BY_ID}/{chain['model']}/lineage?format=mermaid").content.decode()
    events = vic.get(f"{BY_ID}/{chain['model']}/lineage?format=openlineage").json()
    jobs = {event["job"]["name"]: event for event in events}
    assert set(jobs) == {"make.raw", "make.clean", "make.model"}
    assert [one["name"] for one in jobs["make.clean"]["inputs"]] == ["raw"]


def test_it_says_what_it_was_trained_on_and_what_it_feeds(api: Caller, chain: dict[str, int]) -> None:
    vic = api("vic")
    found = vic.get(f"{BY_ID}/{chain['model']}/trained-on").json()
    assert [(one.get("name"), one["depth"]) for one in found["results"]] == [("clean", 1), ("raw", 2), (None, 2)]
    fed = vic.get(f"{BY_ID}/{chain['raw']}/feeds").json()
    assert [one["name"] for one in fed["results"]] == ["clean", "model"] and not fed["truncated"]
    assert vic.get(f"{BY_ID}/{chain['raw']}/feeds?limit=1").json()["truncated"]


def test_it_says_which_versions_are_stale_and_why(api: Caller, chain: dict[str, int]) -> None:
    vic, ann = api("vic"), api("ann")
    assert vic.get(f"{BY_ID}/{chain['model']}/staleness").json() == {"stale": False, "reasons": []}
    newer = publish(ann, "/api/v1/artifacts/demo/development/raw", version="v2", value=2)["id"]
    found = vic.get(f"{BY_ID}/{chain['model']}/staleness").json()
    assert found["stale"]
    (reason,) = found["reasons"]
    assert (reason["used"]["id"], reason["newer"]["id"], reason["depth"]) == (chain["raw"], newer, 2)
    (stale,) = vic.get(f"{BY_ID}/stale?project=demo").json()["results"]
    assert (stale["version"]["id"], stale["used"]["id"], stale["newer"]["id"]) == (chain["clean"], chain["raw"], newer)
    assert vic.get(f"{BY_ID}/stale?project=demo&domain=development&name=model").json()["results"] == []
    assert api("sue").get(f"{BY_ID}/stale").json()["results"] == []


def test_it_compares_two_versions(api: Caller, chain: dict[str, int]) -> None:
    ann, vic = api("ann"), api("vic")
    url = "/api/v1/artifacts/demo/development"
    raw = publish(ann, f"{url}/raw", version="v2", value=2)["id"]
    other = publish(
        ann,
        f"{url}/model",
        version="v2",
        kind="model",
        metrics={"auc": 0.7},
        card="# model\nbetter",
        metadata={"a": "b"},
    )["id"]
    record_derivations([(raw, other)])
    found = vic.get(f"{BY_ID}/{chain['model']}/compare/{other}").json()
    assert found["differences"]["metric auc"] == [0.5, 0.7] and found["differences"]["metadata a"] == [None, "b"]
    assert "+better" in found["card"]
    changes = {change["artifact"]: change for change in found["ancestry"]}
    assert [one["id"] for one in changes["demo/development/raw"]["only_first"]] == [chain["raw"]]
    assert [one["id"] for one in changes["demo/development/raw"]["only_second"]] == [raw]
    assert changes[None]["only_first"] == [{"id": chain["secret"], "hidden": True}]
    problem(vic.get(f"{BY_ID}/{chain['model']}/compare/{chain['secret']}"), 404)


def test_it_draws_the_map_of_artifacts(api: Caller, chain: dict[str, int], cast: dict[str, User]) -> None:
    vic = api("vic")
    for query in ("", "?project=demo", "?project=demo&domain=development&name=model"):
        found = vic.get(f"/api/v1/lineage/map{query}").json()
        names = sorted(one.get("name", "") for one in found["artifacts"])
        assert names == ["", "clean", "model", "raw"], query
        assert len(found["edges"]) == 3
    assert "secret" not in vic.get("/api/v1/lineage/map?format=mermaid").content.decode()
    RoleBinding.objects.create(user=cast["vic"], role=Role.VIEWER, project="elsewhere")
    assert "secret" in api("vic").get("/api/v1/lineage/map?format=dot").content.decode()
    problem(vic.get("/api/v1/lineage/map?format=openlineage"), 400)


def test_strangers_see_nothing(api: Caller, chain: dict[str, int]) -> None:
    for path in ("lineage", "trained-on", "feeds", "staleness", f"compare/{chain['raw']}"):
        problem(api("sue").get(f"{BY_ID}/{chain['model']}/{path}"), 404)
    found = api("sue").get("/api/v1/lineage/map").json()["artifacts"]
    assert [one.get("name") for one in found if not one["hidden"]] == ["secret"]
