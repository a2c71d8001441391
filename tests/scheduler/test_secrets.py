"""Secrets at rest and on their way to an attempt: who gets which, under which names, and what is refused."""

from __future__ import annotations

import base64
import json
import re
import textwrap
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.core.management import call_command
from flytekit import ContainerTask, Secret, map_task, task, workflow
from pytest_django import Settings

from artifacts.exceptions import InvalidArgument
from scheduler.actions.secrets import LARGEST, remove_secret, reseal, set_secret
from scheduler.advance import advance
from scheduler.attempts.judge import Showing
from scheduler.models import Execution, Project, TaskExecution
from scheduler.models import Secret as Row
from scheduler.secrets.cipher import CannotOpen, open_sealed, seal
from scheduler.secrets.lookup import SecretNotSet, mounts_for
from scheduler.secrets.mounts import Mounts, mount
from scheduler.secrets.names import Name, Request, check_name
from tests.scheduler.attempts import make_attempt, make_node
from tests.scheduler.driving import start, workflow_of

pytestmark = pytest.mark.django_db
TOKEN = Name("team", "token")
Kind = Secret.MountType


@pytest.fixture(autouse=True)
def projects() -> None:
    for identifier in ("demo", "other"):
        Project.objects.create(identifier=identifier, name=identifier)


def put(value: bytes | str, name: Name = TOKEN, *, project: str = "demo", domain: str = "development") -> Row:
    value = value.encode() if isinstance(value, str) else value
    return set_secret(name, value, project=project, domain=domain, actor="ada")[0]


def attempt(project: str = "demo", domain: str = "development") -> TaskExecution:
    node = make_node()
    Execution.objects.filter(pk=node.execution_id).update(project=project, domain=domain)
    return make_attempt(node)


def given(
    *names: Name, mount: str = "ANY", env_var: str = "", project: str = "demo", domain: str = "development"
) -> Mounts:
    return mounts_for(attempt(project, domain).pk, [Request(name, mount, env_var) for name in names])


def test_a_value_is_sealed_and_bound_to_its_place() -> None:
    row = put("s3cr3t")
    assert b"s3cr3t" not in bytes(row.sealed)
    assert given(TOKEN).env["_FSEC_TEAM_TOKEN"] == "s3cr3t"
    Row.objects.filter(pk=row.pk).update(project="other")  # as somebody who can write to the database would
    with pytest.raises(CannotOpen):
        given(TOKEN, project="other")


def test_the_narrowest_place_wins_and_no_other_project_sees_it() -> None:
    put("everybody's", project="", domain="")
    put("demo's", domain="")
    put("development's")
    assert [given(TOKEN, **place).env["_FSEC_TEAM_TOKEN"] for place in (
        {"project": "demo", "domain": "development"},
        {"project": "demo", "domain": "production"},
        {"project": "other", "domain": "development"},
    )] == ["development's", "demo's", "everybody's"]  # fmt: skip


@pytest.mark.parametrize(("kind", "env", "files"), [("ENV_VAR", 1, 0), ("FILE", 0, 1), ("ANY", 1, 1)])
def test_it_is_given_as_asked_for(kind: str, env: int, files: int) -> None:
    put("v")
    mounts = given(TOKEN, mount=kind)
    assert mounts.env == ({"_FSEC_TEAM_TOKEN": "v"} if env else {})
    assert mounts.files == ({"team/token": b"v"} if files else {})


def test_a_variable_of_its_own_holds_the_value_or_the_path_of_the_file() -> None:
    put("v")
    assert given(TOKEN, mount="ENV_VAR", env_var="MY_TOKEN").env["MY_TOKEN"] == "v"
    for kind in ("FILE", "ANY"):
        mounts = given(TOKEN, mount=kind, env_var="MY_TOKEN")
        assert mounts.paths == {"MY_TOKEN": "team/token"} and "MY_TOKEN" not in mounts.env


def test_upper_and_lower_case_are_one_name() -> None:
    put("old", Name("Team", "Token"))
    put("new", Name("team", "TOKEN"))
    assert Row.objects.count() == 1
    assert given(Name("TEAM", "token")).files == {"team/token": b"new"}


def test_a_version_is_found_with_and_without_saying_it() -> None:
    put("2", Name("team", "token", "v2"))
    mounts = given(Name("team", "token", "v2"))
    assert mounts.env == {"_FSEC_TEAM_V2_TOKEN": "2", "_FSEC_TEAM_TOKEN": "2"}
    assert mounts.files == {"team/v2/token": b"2", "team/token": b"2"}
    with pytest.raises(SecretNotSet, match="version v3"):
        given(Name("team", "token", "v3"))


def test_what_has_no_version_goes_before_a_version_without_saying_it() -> None:
    put("plain")
    put("2", Name("team", "token", "v2"))
    assert given(Name("team", "token", "v2"), TOKEN).env == {"_FSEC_TEAM_V2_TOKEN": "2", "_FSEC_TEAM_TOKEN": "plain"}


def test_a_group_or_a_key_alone_is_a_name_too() -> None:
    put("g", Name(group="alone"))
    put("k", Name(key="single"))
    assert given(Name(group="alone"), Name(key="single")).env == {"_FSEC_ALONE": "g", "_FSEC_SINGLE": "k"}


def test_a_group_without_a_key_is_all_of_it() -> None:
    put("1", Name("db", "user"))
    put("2", Name("db", "password"), domain="")
    assert given(Name(group="db")).files == {"db/user": b"1", "db/password": b"2"}


def test_what_is_not_set_is_named_with_who_sets_it() -> None:
    with pytest.raises(SecretNotSet, match=r"secret token of group team.*demo/development.*administrator"):
        given(TOKEN)


def test_a_removed_secret_is_not_set() -> None:
    remove_secret(put("v"), actor="ann")
    with pytest.raises(SecretNotSet):
        given(TOKEN)


def test_a_binary_value_is_a_file_only() -> None:
    put(b"\xff\x00")
    assert given(TOKEN).env == {} and given(TOKEN).files == {"team/token": b"\xff\x00"}
    with pytest.raises(InvalidArgument, match="mount_requirement FILE"):
        given(TOKEN, mount="ENV_VAR")


def test_two_secrets_of_one_variable_are_files_or_refused() -> None:
    one, two = Name("a", "b_c"), Name("a_b", "c")
    put("1", one)
    put("2", two)
    assert given(one, two).env == {} and given(one, two).files == {"a/b_c": b"1", "a_b/c": b"2"}
    with pytest.raises(InvalidArgument, match="both be _FSEC_A_B_C"):
        given(one, two, mount="ENV_VAR")


@pytest.mark.parametrize(
    "name", [Name(), Name("../x", "y"), Name("a", "@other"), Name("a", "b/c"), Name("a", "b", ".."), Name("ä", "b")]
)
def test_it_refuses_what_can_be_no_name(name: Name) -> None:
    with pytest.raises(InvalidArgument, match="secret"):
        check_name(name)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"value": b""}, "needs a value"),
        ({"value": b"x" * (LARGEST + 1)}, "at most"),
        ({"project": "nowhere"}, "not registered"),
        ({"domain": "nowhere"}, "unrecognized"),
        ({"project": ""}, "a domain needs its project"),
    ],
)
def test_it_refuses_what_cannot_be_set(fields: dict[str, Any], message: str) -> None:
    asked: dict[str, Any] = {"value": b"v", "project": "demo", "domain": "development", **fields}
    with pytest.raises(InvalidArgument, match=message):
        set_secret(TOKEN, actor="ada", **asked)
    assert not Row.objects.exists()


def test_files_of_the_operator_are_found_by_place(tmp_path: Path, settings: Settings) -> None:
    settings.CAUSEWAY_SECRETS_DIR = str(tmp_path)
    for path, value in {
        "team/token": "all", "@demo/team/token": "demo", "@demo/@production/team/token": "live", "team/v1/token": "old",
        "single": "s", "@other/private/key": "theirs", "db/..data": "link", "db/User": "u",
    }.items():  # fmt: skip
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(value)
    assert given(TOKEN).files["team/token"] == b"demo"
    assert given(TOKEN, domain="production").files["team/token"] == b"live"
    assert given(TOKEN, project="other").files["team/token"] == b"all"
    assert given(Name("team", "token", "v1")).env["_FSEC_TEAM_V1_TOKEN"] == "old"
    assert given(Name(key="single")).env == {"_FSEC_SINGLE": "s"}
    assert given(Name(group="db")).files == {"db/user": b"u"}
    with pytest.raises(SecretNotSet):
        given(Name("private", "key"))
    put("stored", domain="")
    assert given(TOKEN).files["team/token"] == b"stored"


def test_an_older_key_opens_until_all_is_sealed_anew(settings: Settings) -> None:
    put("v")  # under the signing key
    settings.CAUSEWAY_SECRETS_KEY = "first"
    assert given(TOKEN).env["_FSEC_TEAM_TOKEN"] == "v"
    call_command("reseal_secrets", verbosity=0)
    settings.CAUSEWAY_SECRETS_KEY, settings.SECRET_KEY = "second, first", "another signing key"
    assert (reseal(), reseal()) == (1, 0)
    settings.CAUSEWAY_SECRETS_KEY = "second"
    assert given(TOKEN).env["_FSEC_TEAM_TOKEN"] == "v"
    settings.CAUSEWAY_SECRETS_KEY = "third"
    with pytest.raises(CannotOpen, match="CAUSEWAY_SECRETS_KEY"):
        given(TOKEN)


def test_a_changed_value_does_not_open() -> None:
    sealed = seal(b"v", bound_to=("p",))
    assert open_sealed(sealed, bound_to=("p",)) == b"v"
    for broken in (sealed[:-1], sealed[:-1] + bytes([sealed[-1] ^ 1]), b"", b"\x02" + sealed[1:]):
        with pytest.raises(CannotOpen):
            open_sealed(broken, bound_to=("p",))


def test_values_are_told_to_the_process_only() -> None:
    mounts = mount([(Request(TOKEN), TOKEN, b"s3cr3t\n")])
    told = json.loads(mounts.as_json())
    assert base64.b64decode(told["files"]["team/token"]) == b"s3cr3t\n"
    assert mounts.hidden == ("s3cr3t",)
    assert "s3cr3t" not in repr(mounts)


VALUES = [
    "plain-token",
    "-----BEGIN KEY-----\r\nMIIabc+/=\n-----END KEY-----\n",
    'back\\slash "quoted"',
    "p@ss word/?",
    "é\tx-1",
]


@pytest.mark.parametrize("value", VALUES)
def test_messages_show_it_in_no_spelling(value: str) -> None:
    """flytekit indents an error's lines, exceptions say what they are about with `repr`, addresses are quoted."""
    hidden = mount([(Request(TOKEN), TOKEN, value.encode())]).hidden
    told = [
        value,
        textwrap.indent(value.replace("\r\n", "\n"), "    "),
        f"FileNotFoundError: {value!r}",
        json.dumps({"error": value}),
        f"cannot reach https://me:{quote(value.strip(), safe='')}@host",
    ]
    for message in told:
        shown = Showing(hidden=hidden)(message)
        assert "****" in shown and not any(word in shown for word in re.findall(r"\w{4,}", value))


@task(secret_requests=[Secret(group="team", key="token", mount_requirement=Kind.ENV_VAR, env_var="MY_TOKEN")])
def reads(x: int) -> int:
    return x


raw = ContainerTask(
    name="raw_with_secret",
    image="busybox",
    command=["true"],
    secret_requests=[Secret(group="team", key="token", group_version="v1")],
)


@workflow
def all_kinds(xs: list[int]) -> list[int]:
    raw()
    reads(x=1)
    return map_task(reads)(x=xs)


@pytest.mark.usefixtures("object_store")
def test_every_kind_of_task_asks_by_name() -> None:
    execution = start(workflow_of(all_kinds), {"xs": [1]})
    advance(execution.pk)
    commands = [row.command for row in TaskExecution.objects.filter(execution_id=execution.pk).order_by("pk")]
    by_env = {"group": "team", "key": "token", "version": "", "mount": "ENV_VAR", "env_var": "MY_TOKEN"}
    by_any = {"group": "team", "key": "token", "version": "v1", "mount": "ANY", "env_var": ""}
    asked = [command["secrets"] for command in commands]
    assert sorted(asked, key=lambda one: str(one[0]["mount"])) == [[by_any], [by_env], [by_env]]
    assert not any(command["reuse"] for command in commands), "a process that had secrets is not used again"


def test_what_is_set_nowhere_is_left_to_a_cluster_that_has_secrets_of_its_own() -> None:
    put("s3cr3t")
    asked = [Request(TOKEN), Request(Name("warehouse", "password"))]
    found = mounts_for(attempt().pk, asked, elsewhere=True)
    assert found.env["_FSEC_TEAM_TOKEN"] == "s3cr3t" and found.elsewhere == (asked[1],)
    for names in (asked, [Request(Name("warehouse"))], [Request(Name("", "password"))]):
        with pytest.raises(SecretNotSet):
            mounts_for(attempt().pk, names, elsewhere=names is not asked)
