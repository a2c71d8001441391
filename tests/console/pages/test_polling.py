"""What a page that polls is answered: nothing where nothing has changed, and a word it understands when it may not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from django.test import Client, override_settings
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator

from console.accounts.models import User
from console.pages import urls
from console.pages.middleware import UnchangedFragments
from scheduler.models import Execution
from tests.console.pages.cast import World

Browse = Callable[[User], Client]
HTMX = {"HX-Request": "true"}
POLLED = [
    *("/", "/executions/", "/artifacts/", "/approvals/"),
    *("/executions/demo/development/aevaluates/", "/executions/demo/development/aevaluates/nodes/n1/"),
    "/executions/demo/development/aevaluates/timeline/",
]


@pytest.mark.parametrize("address", POLLED)
def test_a_poll_of_what_has_not_changed_is_answered_304(
    world: World, browse: Browse, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()  # it stands still: what runs is drawn a little longer every few seconds (steady_end)
    monkeypatch.setattr(timezone, "now", lambda: now)
    client = browse(world.admin)
    mark = client.get(address, headers=HTMX)["ETag"]

    again = client.get(address, headers={**HTMX, "If-None-Match": mark})

    assert again.status_code == 304 and not again.content


def test_a_poll_of_what_has_changed_is_answered_with_it(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    mark = client.get("/executions/", headers=HTMX)["ETag"]
    Execution.objects.filter(pk=world.failed.pk).update(name="renamed")

    again = client.get("/executions/", headers={**HTMX, "If-None-Match": mark})

    assert again.status_code == 200 and b"renamed" in again.content and again["ETag"] != mark


def test_a_page_as_a_whole_and_what_ends_a_poll_carry_no_mark(world: World, browse: Browse) -> None:
    client = browse(world.admin)

    assert "ETag" not in client.get("/executions/")
    ended = client.get("/executions/demo/development/atrains/", headers={**HTMX, "If-None-Match": "*"})
    assert ended.status_code == 286


def test_only_clocks_and_masks_are_looked_over() -> None:
    def mark(text: str) -> str:
        from django.http import HttpResponse
        from django.test import RequestFactory

        request = RequestFactory().get("/", headers=HTMX)
        return UnchangedFragments(lambda _: HttpResponse(text))(request)["ETag"]

    clock = '<time datetime="2026-01-01" data-clock="ago">{}</time>'
    assert mark(clock.format("1 s ago")) == mark(clock.format("2 s ago"))
    assert mark(clock.format("1 s ago")) != mark(clock.format("1 s ago").replace("2026-01-01", "2026-01-02"))
    assert mark("<span>1 s</span>") != mark("<span>2 s</span>")


def fragment_addresses() -> list[str]:
    """Every page below a login, with some name where one belongs."""
    found: list[str] = []
    for pattern in urls.urlpatterns:
        if isinstance(pattern, URLPattern):
            found.append("/" + re.sub(r"<(int:)?[^>]+>", lambda part: "1" if part[1] else "x", str(pattern.pattern)))
    return found


# Where people without a session are meant to be.
OPEN = (
    *("/login/", "/logout/", "/theme/", "/login/sso/", "/login/sso/callback/"),
    *("/login/forgotten/", "/login/forgotten/sent/", "/login/new-password/x/x/"),
)


@pytest.mark.django_db
@pytest.mark.parametrize("address", fragment_addresses())
def test_whose_session_has_ended_is_not_sent_the_login_page_as_a_fragment(address: str) -> None:
    answers = [getattr(Client(), method)(address, headers=HTMX) for method in ("get", "post")]

    for answer in answers:
        assert answer.status_code in (401, 405) or address in OPEN, answer.status_code
    assert isinstance(get_resolver(), URLResolver)


def test_answers_are_compressed_for_who_reads_that(world: World, browse: Browse) -> None:
    client = browse(world.admin)

    for address in ("/executions/", "/api/v1/schema", "/api/v1/executions"):
        answer = client.get(address, headers={"Accept-Encoding": "gzip"})
        plain = client.get(address)
        assert answer["Content-Encoding"] == "gzip" and len(answer.content) < len(plain.content) / 2
        assert "Content-Encoding" not in plain


def test_static_files_go_by_names_that_change_with_them(tmp_path: Path) -> None:
    with override_settings(STATIC_ROOT=tmp_path):
        call_command("collectstatic", interactive=False, verbosity=0, ignore_patterns=["admin", "rest_framework"])
        hashed = sorted(path.name for path in (tmp_path / "js").iterdir())
        main = next(path for path in (tmp_path / "js").iterdir() if re.fullmatch(r"main\.[0-9a-f]{12}\.js", path.name))
        imports = re.findall(r'from "\./([^"]+)"', main.read_text())
        assert imports and all(name in hashed and re.search(r"\.[0-9a-f]{12}\.js$", name) for name in imports)
        assert f"{main.name}.gz" in hashed
    assert staticfiles_storage.url("js/main.js").endswith(".js")


def test_the_schema_is_made_once(world: World, browse: Browse, monkeypatch: pytest.MonkeyPatch) -> None:
    from console.rest import schema

    client, made = browse(world.admin), list[Any]()
    schema._schema.cache_clear()
    schema._operations.cache_clear()

    class Counted(SchemaGenerator):
        def __init__(self, *given: Any, **more: Any) -> None:
            made.append(given)
            super().__init__(*given, **more)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(schema, "SchemaGenerator", Counted)

    pages = {client.get(address).content for address in ["/api/v1/docs", "/api/v1/schema"] * 3}

    assert len(made) == 1 and len(pages) >= 2
