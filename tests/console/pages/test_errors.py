"""Pages for what went wrong: styled, with a way back, and without a word of what is inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from console.accounts.models import User
from tests.console.pages.cast import World

Browse = Callable[[User], Client]
RUN = "/executions/demo/development/aevaluates/"


def check_page(response: Any, status: int, says: str) -> None:
    text = response.content.decode()
    assert (response.status_code, response["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert says in text
    assert '<link rel="stylesheet"' in text and '<a class="button button-primary" href="/">' in text
    for inside in ("Traceback", "File &quot;", ".py", "DJANGO_SETTINGS", "Exception"):
        assert inside not in text


def test_a_request_that_cannot_be_read_answers_400(world: World, browse: Browse, settings: Settings) -> None:
    client = browse(world.admin)
    settings.ALLOWED_HOSTS = ["testserver"]
    check_page(client.get("/", headers={"host": "elsewhere.example"}), 400, "That request makes no sense")
    for address in ("/executions/?q=%00", "/executions/demo/development/%00/"):
        check_page(client.get(address), 400, "That request makes no sense")
    check_page(client.post(f"{RUN}abort/", {"cause": "a\0b"}), 400, "That request makes no sense")
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 2
    fields = {f"f{i}": "x" for i in range(5)}
    check_page(client.post(f"{RUN}abort/", fields), 400, "That request makes no sense")


def test_what_may_not_be_done_answers_403_with_the_role_that_may(world: World, browse: Browse) -> None:
    response = browse(world.viewer).post(f"{RUN}abort/")
    check_page(response, 403, "viewer may not launch in demo/development: that needs the role contributor")


def test_what_is_not_there_answers_404_with_its_name(world: World, browse: Browse) -> None:
    check_page(browse(world.admin).get("/executions/demo/development/no/"), 404, "no execution demo/development/no")
    check_page(browse(world.admin).get("/nothing/"), 404, "Nothing lives at this address")
    check_page(Client().get("/nothing/"), 404, "Nothing lives at this address")


def test_what_breaks_answers_500_and_tells_nothing(
    world: World, browse: Browse, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the password is sesame")

    monkeypatch.setattr("console.pages.executions.access_execution", broken)
    client = browse(world.admin)
    client.raise_request_exception = False

    response = client.get(RUN)

    check_page(response, 500, "Something broke on our side")
    assert "sesame" not in response.content.decode()
    assert "the password is sesame" in caplog.text
