"""Hooks: what is signed is published once, by the rights of who made the hook."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from artifacts.models import ArtifactVersion
from artifacts.store import store
from audit.models import AuditEvent
from console import hooks
from console.accounts import access, scopes, tokens
from console.accounts.models import Hook, HookCall, Role, RoleBinding, User
from scheduler.models import Project

pytestmark = [pytest.mark.django_db, pytest.mark.accounts]


@pytest.fixture
def ann(object_store: str) -> User:
    Project.objects.get_or_create(identifier="demo", defaults={"name": "demo"})
    user = User.objects.create(username="ann")
    RoleBinding.objects.create(user=user, role=Role.CONTRIBUTOR, project="demo")
    return user


def signed(secret: str, body: bytes, at: float | None = None) -> str:
    """As a sender makes it, with nothing of ours."""
    moment = int(time.time() if at is None else at)
    return f"t={moment},v1=" + hmac.new(secret.encode(), b"%d." % moment + body, hashlib.sha256).hexdigest()


def send(key: str, secret: str, body: Any = None, *, at: float | None = None, signature: str = "") -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body if body is not None else {"value": 7}).encode()
    header = signature or signed(secret, raw, at)
    return Client().post(f"/hooks/{key}", raw, "application/json", HTTP_CAUSEWAY_SIGNATURE=header)


def mlflow(secret: str, event: dict[str, Any], *, at: float | None = None, delivery: str = "d1") -> dict[str, Any]:
    """A webhook as MLflow 3 delivers it (mlflow/webhooks/delivery.py)."""
    raw, moment = json.dumps(event), str(int(time.time() if at is None else at))
    mac = hmac.new(secret.encode(), f"{delivery}.{moment}.{raw}".encode(), hashlib.sha256).digest()
    headers = {"X-MLflow-Signature": f"v1,{base64.b64encode(mac).decode()}", "X-MLflow-Delivery-Id": delivery}
    return {"data": raw, "headers": {**headers, "X-MLflow-Timestamp": moment}}


def new_model(version: str = "3", source: str = "models:/m-5f1e") -> dict[str, Any]:
    data = {"name": "churn", "version": version, "source": source, "run_id": "r1", "tags": {"team": "ml"}}
    return {"entity": "model_version", "action": "created", "timestamp": "2026-05-17T08:00:00Z", "data": data}


def test_mlflows_webhook_publishes_a_models_version_once(ann: User) -> None:
    hook, secret = hooks.make("demo", "development", "churn", actor=ann)
    call = mlflow(secret, new_model())

    def send_mlflow(call: dict[str, Any]) -> int:
        answer = Client().post(f"/hooks/{hook.key}", call["data"], "application/json", headers=call["headers"])
        return int(answer.status_code)

    assert send_mlflow(call) == 201
    version = ArtifactVersion.objects.get()
    assert (version.version, version.kind, version.uri) == ("mlflow-3", "model", "models://mlflow/m-5f1e")
    assert version.metadata["team"] == "ml"
    assert version.metadata["mlflow.run"] == "r1"
    assert send_mlflow(call) == 409, "the same delivery again"
    assert send_mlflow(mlflow(secret, new_model(), delivery="d2")) == 200, "the same version again"
    assert send_mlflow(mlflow("wrong", new_model("4"))) == 401
    assert send_mlflow(mlflow(secret, new_model("4"), at=time.time() - 3600)) == 401
    stolen = mlflow(secret, new_model("4"))
    assert send_mlflow({**stolen, "headers": {**stolen["headers"], "X-MLflow-Delivery-Id": "other"}}) == 401
    other = {"entity": "registered_model", "action": "created", "timestamp": "x", "data": {"name": "churn"}}
    assert send_mlflow(mlflow(secret, other)) == 200
    assert send_mlflow(mlflow(secret, {**new_model(), "data": {"name": "churn"}})) == 400
    assert send_mlflow(mlflow(secret, new_model("6", "http://[half"), delivery="d6")) == 400
    assert send_mlflow(mlflow(secret, new_model("5", "s3://models/churn/5"), delivery="d5")) == 201
    assert sorted(ArtifactVersion.objects.values_list("uri", flat=True)) == [
        "models://mlflow/m-5f1e",
        "s3://models/churn/5",
    ]


def test_what_is_signed_is_published_once(ann: User) -> None:
    hook, secret = hooks.make("demo", "development", "sales", actor=ann)
    body = {"value": 41, "version": "v1", "partitions": {"region": "SEA"}, "metrics": {"rows": 3}}
    header = signed(secret, json.dumps(body).encode())
    answer = send(hook.key, secret, body, signature=header)
    assert answer.status_code == 201, answer.content
    version = ArtifactVersion.objects.get()
    assert (version.artifact.key, version.version) == (("demo", "development", "sales"), "v1")
    assert (version.created_by, version.producer, version.partitions) == ("ann", f"hook:{hook.key}", {"region": "SEA"})
    again = send(hook.key, secret, body, signature=header)
    assert (again.status_code, again.json()["detail"]) == (409, "this was received before")
    assert ArtifactVersion.objects.count() == 1
    hook.refresh_from_db()
    assert hook.last_used_at is not None


def test_a_refused_publication_may_be_sent_again(ann: User) -> None:
    hook, secret = hooks.make("demo", "development", "sales", actor=ann)
    for _ in range(2):
        answer = send(hook.key, secret, {"value": 1, "uri": "s3://x/y"}, at=time.time())
        assert answer.status_code == 400 and "exactly one of" in answer.json()["detail"]
    for raw in (b"", b"[1]", b"{", b'{"value": 1, "colour": 2}', b"\xff"):
        assert send(hook.key, secret, raw).status_code == 400, raw
    assert not ArtifactVersion.objects.exists() and not HookCall.objects.exists()


@pytest.mark.parametrize("seconds", [-301, 301, -(10**9)])
def test_a_signature_of_another_time_is_refused(ann: User, seconds: int) -> None:
    hook, secret = hooks.make("demo", "development", "sales", actor=ann)
    assert send(hook.key, secret, at=time.time() + seconds).status_code == 401
    assert send(hook.key, secret, at=time.time() + seconds / abs(seconds) * 250).status_code == 201


def test_a_wrong_signature_and_a_hook_that_is_not_there_are_told_the_same(ann: User) -> None:
    hook, secret = hooks.make("demo", "development", "sales", actor=ann)
    _, other = hooks.make("demo", "development", "sales", actor=ann)
    body = b'{"value": 1}'
    now = int(time.time())
    wrong = [
        send(hook.key, other),
        send(hook.key, secret, b'{"value": 2}', signature=signed(secret, body)),
        send(hook.key, secret, body, signature=signed(secret, body, now).replace(f"t={now}", f"t={now + 1}")),
        send("0" * 24, secret),
    ]
    assert {(answer.status_code, answer.json()["detail"]) for answer in wrong} == {
        (401, "the hook or its signature is not valid")
    }
    for header in ("x", "t=1", "v1=" + "0" * 64, "t=1,v1=" + "0" * 63):
        assert send(hook.key, secret, signature=header).status_code == 401
    assert Client().post(f"/hooks/{hook.key}", body, "application/json").status_code == 401
    assert Client().get(f"/hooks/{hook.key}").status_code == 405
    assert not ArtifactVersion.objects.exists()


def test_a_rotated_secret_is_good_for_a_day_and_the_one_before_that_for_none(ann: User) -> None:
    hook, first = hooks.make("demo", "development", "sales", actor=ann)
    second = hooks.rotate(hook, actor=ann)
    assert [send(hook.key, one, {"value": n}).status_code for n, one in enumerate((first, second))] == [201, 201]
    third = hooks.rotate(hook, actor=ann)
    assert [send(hook.key, one, {"value": 9}).status_code for one in (first, second, third)] == [401, 201, 201]
    Hook.objects.update(former_until=timezone.now() - timedelta(seconds=1))
    assert send(hook.key, second, {"value": 10}).status_code == 401


def test_a_new_secret_is_for_who_publishes_by_it_alone(ann: User) -> None:
    hook, secret = hooks.make("demo", "development", "sales", actor=ann)
    bob = User.objects.create(username="bob")
    RoleBinding.objects.create(user=bob, role=Role.CONTRIBUTOR, project="demo")
    limited = {"HTTP_AUTHORIZATION": f"Bearer {tokens.create(ann, 'limited', scopes=['publish'])[1]}"}
    another = {"HTTP_AUTHORIZATION": f"Bearer {tokens.create(bob, 'whole')[1]}"}
    for header in (limited, another):
        refused = Client().post(f"/api/v1/hooks/{hook.key}/rotate", **header)  # type: ignore[arg-type]
        assert refused.status_code == 403, header
    assert not AuditEvent.objects.filter(verb="hook.rotate").exists()
    assert send(hook.key, secret).status_code == 201
    assert Client().delete(f"/api/v1/hooks/{hook.key}", **another).status_code == 204  # type: ignore[arg-type]


def test_it_ends_with_the_rights_and_the_token_of_who_made_it(ann: User) -> None:
    hook, secret = hooks.make("demo", "development", "sales", actor=ann)
    RoleBinding.objects.update(role=Role.VIEWER)
    assert send(hook.key, secret).status_code == 403
    RoleBinding.objects.update(role=Role.CONTRIBUTOR)
    assert send(hook.key, secret, {"value": 2}).status_code == 201
    made, token = tokens.create(ann, "t", scopes=["publish"])
    header = {"HTTP_AUTHORIZATION": f"Bearer {token}"}
    body = {"project": "demo", "domain": "development", "artifact": "sales"}
    second = Client().post("/api/v1/hooks", body, "application/json", **header).json()  # type: ignore[arg-type]
    assert send(second["key"], second["secret"], {"value": 3}).status_code == 201
    tokens.revoke(made, actor="ann")
    assert send(second["key"], second["secret"], {"value": 4}).status_code == 401
    ann.is_active = False
    ann.save()
    assert send(hook.key, secret, {"value": 5}).status_code == 401


def test_it_reads_no_more_than_the_token_it_was_made_with(ann: User, object_store: str) -> None:
    RoleBinding.objects.create(user=ann, role=Role.CONTRIBUTOR, project="other")
    narrow = access.authenticate_token(tokens.create(ann, "t", project="demo")[1])
    hook, secret = hooks.make("demo", "development", "sales", actor=narrow)
    scopes.forget_caller()
    stored = f"{object_store}/data/other/development/x.csv"
    store().put(stored, b"a")
    assert send(hook.key, secret, {"uri": stored}).status_code == 403
    whole, second = hooks.make("demo", "development", "sales", actor=User.objects.get(pk=ann.pk))
    assert send(whole.key, second, {"uri": stored}).status_code == 201


def test_what_it_refers_to_is_asked_of_who_made_it(ann: User, object_store: str) -> None:
    hook, secret = hooks.make("demo", "development", "sales", actor=ann)
    answer = send(hook.key, secret, {"uri": f"{object_store}/data/other/development/x.csv"})
    assert answer.status_code == 403
    assert send(hook.key, secret, {"uri": "s3://elsewhere/x.csv"}).status_code == 201


def test_it_is_made_listed_rotated_and_removed_over_rest_by_who_publishes(ann: User) -> None:
    vic = User.objects.create(username="vic")
    RoleBinding.objects.create(user=vic, role=Role.VIEWER, project="demo")
    as_ann, as_vic = ({"HTTP_AUTHORIZATION": f"Bearer {tokens.create(user, 't')[1]}"} for user in (ann, vic))
    body = {"project": "demo", "domain": "development", "artifact": "sales"}
    client = Client()
    assert client.post("/api/v1/hooks", body, "application/json", **as_vic).status_code == 403  # type: ignore[arg-type]
    made = client.post("/api/v1/hooks", body, "application/json", **as_ann).json()  # type: ignore[arg-type]
    assert made["url"].endswith(f"/hooks/{made['key']}")
    listed = client.get("/api/v1/hooks", **as_ann).json()["results"]  # type: ignore[arg-type]
    assert [row["key"] for row in listed] == [made["key"]] and "secret" not in listed[0]
    assert client.get("/api/v1/hooks", **as_vic).json()["results"] == []  # type: ignore[arg-type]
    one = f"/api/v1/hooks/{made['key']}"
    assert client.post(f"{one}/rotate", **as_vic).status_code == 404  # type: ignore[arg-type]
    rotated = client.post(f"{one}/rotate", **as_ann).json()  # type: ignore[arg-type]
    assert send(made["key"], rotated["secret"]).status_code == 201
    wrong = [{**body, "project": "nowhere"}, {**body, "artifact": "a/b"}, {**body, "domain": "no"}, {"project": "demo"}]
    for bad in wrong:
        assert client.post("/api/v1/hooks", bad, "application/json", **as_ann).status_code in (400, 403)  # type: ignore[arg-type]
    assert client.delete(one, **as_ann).status_code == 204  # type: ignore[arg-type]
    assert send(made["key"], rotated["secret"], {"value": 8}).status_code == 401
    verbs = AuditEvent.objects.filter(verb__startswith="hook.").order_by("id").values_list("verb", flat=True)
    assert list(verbs) == ["hook.create", "hook.rotate", "hook.remove"]
    assert rotated["secret"] not in str(list(AuditEvent.objects.values()))


def test_signatures_are_forgotten_once_they_are_too_old_to_be_sent(ann: User) -> None:
    hook, secret = hooks.make("demo", "development", "sales", actor=ann)
    send(hook.key, secret, {"value": 1})
    HookCall.objects.update(at=timezone.now() - timedelta(hours=1))
    send(hook.key, secret, {"value": 2})
    assert HookCall.objects.count() == 1
