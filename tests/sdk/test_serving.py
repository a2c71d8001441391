"""A served model: predictions with the version that gave them, an alias that moves, and what is refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from causeway.client import Client
from causeway.serving import Served, Server
from causeway.serving.forms import BadRows, CannotLoad, _array, _plain

Stop = threading.Event


class Scale:
    """A model: each number times the factor."""

    def __init__(self, value: Any) -> None:
        if value == "odd":
            raise RuntimeError("no such layer")
        self.factor = json.loads(value.read_text())["factor"] if isinstance(value, Path) else value

    def predict(self, rows: list[Any]) -> list[Any]:
        if any(not isinstance(one, (int, float)) for row in rows for one in row):
            raise ValueError("a row has what is no number")
        if rows == [[666]]:
            raise RuntimeError("s3cr3t of the model")
        if rows == [[667]]:
            return [float("nan")]
        return [[self.factor * one for one in row] for row in rows]


LOADER = f"{__name__}:Scale"


@pytest.fixture
def served(client: Client) -> Iterator[Served]:
    client.create("scale", 2, version="v1")
    found = Served(client, "scale", loader=LOADER, every=0.05).start()
    yield found
    found.stop()


@pytest.fixture
def url(served: Served) -> Iterator[str]:
    with Server(served, ("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.port}"
        server.shutdown()
        thread.join()


def ask(url: str, rows: Any) -> requests.Response:
    return requests.post(f"{url}/predict", json={"instances": rows}, timeout=10)


def test_a_prediction_names_its_version(url: str) -> None:
    answer = ask(url, [[1, 2], [3, 4]])
    assert answer.json()["predictions"] == [[2, 4], [6, 8]]
    assert answer.json()["model"]["version"] == "v1" and answer.headers["Causeway-Version"].endswith("/scale@v1")
    assert requests.get(f"{url}/ready", timeout=10).json() == {"ready": True, "problem": ""}
    assert requests.get(f"{url}/model", timeout=10).json()["artifact"] == "scale"
    described = requests.get(f"{url}/openapi.json", timeout=10).json()
    assert "/predict" in described["paths"] and described["info"]["version"] == "v1"


def test_no_request_fails_while_the_newest_version_changes(url: str, client: Client, served: Served) -> None:
    statuses, factors, enough = [], set(), Stop()

    def go_on() -> None:
        with requests.Session() as session:
            while not enough.is_set():
                answer = session.post(f"{url}/predict", json={"instances": [[1]]}, timeout=10)
                statuses.append(answer.status_code)
                factors.add((answer.json()["predictions"][0][0], answer.json()["model"]["version"]))

    callers = [threading.Thread(target=go_on) for _ in range(3)]
    for caller in callers:
        caller.start()
    for factor in (3, 4):
        client.create("scale", factor, version=f"v{factor}")
        while served.current is None or served.current.version.version != f"v{factor}":
            enough.wait(0.01)
    enough.wait(0.1)
    enough.set()
    for caller in callers:
        caller.join()
    assert set(statuses) == {200} and len(statuses) > 20
    assert {(4, "v4")} < factors <= {(2, "v1"), (3, "v3"), (4, "v4")}


def test_a_version_that_cannot_be_loaded_changes_nothing_and_says_so(url: str, client: Client, served: Served) -> None:
    served.loader = "no_such_module:load"
    client.create("scale", 9, version="v2")
    while not served.problem:
        threading.Event().wait(0.01)
    assert ask(url, [[1]]).json()["predictions"] == [[2]]
    assert "no_such_module" in requests.get(f"{url}/model", timeout=10).json()["problem"]


def test_a_loader_that_raises_whatever_it_likes_does_not_end_the_looking(client: Client, served: Served) -> None:
    client.create("scale", "odd", version="v2")
    while not served.problem:
        threading.Event().wait(0.01)
    assert "RuntimeError: no such layer" in served.problem
    client.create("scale", 5, version="v3")
    while served.problem:
        threading.Event().wait(0.01)
    assert served.current is not None and served.current.version.version == "v3"


def test_rows_with_names_are_taken_by_their_names_and_answers_become_plain() -> None:
    import numpy
    import pandas

    assert _array([{"a": 1, "b": 2}, {"b": 4, "a": 3}]).tolist() == [[1, 2], [3, 4]]
    with pytest.raises(BadRows, match="the columns of the first one: a, b"):
        _array([{"a": 1, "b": 2}, {"a": 3}])
    assert _plain(pandas.DataFrame({"x": [1, 2], "y": [3, 4]})) == [[1, 3], [2, 4]]
    assert json.dumps(_plain([numpy.int64(1)])) == "[1]"


@pytest.mark.parametrize(
    ("rows", "status", "said"),
    [
        ([["a"]], 400, "does not take these rows: a row has what is no number"),
        ([], 400, "a list of 1 to"),
        ("x", 400, "a list of 1 to"),
        ([[1], {"a": 1}], 400, "all rows of one form"),
        ([[666]], 500, "the model failed"),
        ([[667]], 500, "JSON has nothing like what it predicts"),
    ],
)
def test_what_is_refused_says_why(url: str, rows: Any, status: int, said: str) -> None:
    answer = ask(url, rows)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert said in answer.json()["detail"] and "s3cr3t" not in answer.text


def test_other_bad_requests(url: str) -> None:
    assert requests.post(f"{url}/predict", data="{", timeout=10).status_code == 400
    assert requests.post(f"{url}/predict", json=[1], timeout=10).status_code == 400
    assert requests.post(f"{url}/predict", data="[" * 50_000, timeout=10).status_code == 400
    assert requests.post(f"{url}/other", json={"instances": [[1]]}, timeout=10).status_code == 404
    assert requests.get(f"{url}/", timeout=10).status_code == 404
    assert requests.post(f"{url}/predict", data=iter([b"x"]), timeout=10).status_code == 411


def test_a_token_is_asked_for_where_one_is_set(served: Served) -> None:
    with Server(served, ("127.0.0.1", 0), token="t0ken") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        place, body = f"http://127.0.0.1:{server.port}/predict", {"instances": [[1]]}
        assert requests.post(place, json=body, timeout=10).status_code == 401
        right = {"Authorization": "Bearer t0ken"}
        assert requests.post(place, json=body, headers=right, timeout=10).status_code == 200
        server.shutdown()
        thread.join()


def test_files_of_models_are_loaded_by_their_form(client: Client, tmp_path: Path) -> None:
    import joblib  # type: ignore[import-untyped]
    from sklearn.linear_model import LinearRegression  # type: ignore[import-untyped]

    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0])
    joblib.dump(model, tmp_path / "model.joblib")
    client.create("fit", file=tmp_path / "model.joblib", version="v1")
    with pytest.raises(CannotLoad, match="pickle"):
        Served(client, "fit").look()
    found = Served(client, "fit", allow_pickle=True)
    assert found.look() and found.current is not None
    assert found.current.predict([[2.0]]) == pytest.approx([4.0])
    (tmp_path / "model.bin").write_bytes(b"x")
    client.create("odd", file=tmp_path / "model.bin", version="v1")
    with pytest.raises(CannotLoad, match="name a loader"):
        Served(client, "odd").look()
