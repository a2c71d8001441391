"""axe over every page, both themes, on a desk and on a phone: nothing serious, nothing critical."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from pytest_django.live_server_helper import LiveServer

from artifacts.models import Kind
from tests.console.pages.cast import World, make_version
from tests.e2e.test_accessible import MORE
from tests.e2e.test_pages import PAGES, browser, log_in, world

__all__ = ["browser", "world"]

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# Decks are users' pages, in an origin of their own: what is in them is theirs.
OPTIONS = {"runOnly": {"type": "tag", "values": RULES}, "iframes": False, "resultTypes": ["violations"]}
COLOURS = {**OPTIONS, "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
BAD = ("serious", "critical")
OTHERS = [
    *(
        "/styleguide/",
        "/schedules/",
        "/quotas/",
        "/usage/",
        "/artifacts/names/",
        "/password/",
        "/secrets/",
        "/connections/",
    ),
    *("/sessions/", "/projects/", "/projects/demo/", "/schedules/calendar/", "/oauth2/device"),
    *("/compare/?v={model}&v={other}", "/compare/?x=demo/development/atrains&x=demo/development/afailed"),
    *("/artifacts/versions/{model}/canvas/", "/artifacts/versions/{model}/graph/", "/artifacts/versions/{model}/card/"),
    *("/artifacts/versions/{model}/triggers/", "/artifacts/versions/{model}/remove/"),
    *("/artifacts/versions/{model}/object/preview/", "/executions/demo/development/atrains/"),
    *("/executions/demo/development/atrains/timeline/", "/executions/demo/development/atrains/graph/"),
    *("/executions/demo/development/atrains/events/", "/workflows/demo/development/{workflow}/"),
    *("/tasks/demo/development/tests.console.pages.program.train/", "/nothing-is-here/"),
    "/tasks/demo/development/tests.console.pages.program.train/launch/",
    *("/notifications/inbox/", "/sql/", "/elsewhere/"),
    *("/approvers/", "/promotions/", "/service-levels/", "/contests/", "/executions/demo/development/atrains/why/"),
    *(f"/artifacts/versions/{{model}}/{tab}/" for tab in ("why", "keep", "erase")),
]


@pytest.fixture(params=[1440, 390])
def page(request: pytest.FixtureRequest, browser: Browser, live_server: LiveServer, world: World) -> Iterator[Page]:
    size: Any = {"width": request.param, "height": 900}
    with browser.new_context(viewport=size, base_url=live_server.url) as context:
        log_in(context, live_server, world)
        yield context.new_page()


def test_it_would_find_something_serious(page: Page) -> None:
    page.goto("/styleguide/")
    page.evaluate("document.querySelector('main h1').insertAdjacentHTML('afterend', '<img src=x><select></select>')")
    found = {fault["id"] for fault in Axe().run(page, options=OPTIONS).response["violations"]}
    assert {"image-alt", "select-name"} <= found
    page.evaluate("document.querySelector('main h1').style.color = '#222'")  # which is fine on white
    assert not Axe().run(page, options=COLOURS).response["violations"]
    page.emulate_media(color_scheme="dark")
    (dark,) = Axe().run(page, options=COLOURS).response["violations"]
    assert dark["id"] == "color-contrast"


def test_nothing_is_serious_on_any_page(page: Page, world: World) -> None:
    metrics = {"accuracy": 0.9, "loss": 0.3, "rows": 7}
    other = make_version("ml-model", Kind.MODEL, number=31, metrics=metrics, card="# Another")
    axe, found = Axe(), []
    for address in [*PAGES, *MORE, *OTHERS]:
        names = {"gate": world.gate.pk, "model": world.model.pk, "other": other.pk}
        answer = page.goto(address.format(**names, workflow=world.trains.workflow.name))
        assert answer is not None and answer.status == (404 if "nothing-is-here" in address else 200), address
        page.evaluate("document.querySelectorAll('main details').forEach((each) => { each.open = true; })")
        schemes: dict[Literal["light", "dark"], Any] = {"light": OPTIONS, "dark": COLOURS}  # all else is alike in both
        for scheme, options in schemes.items():
            page.emulate_media(color_scheme=scheme)
            for fault in axe.run(page, options=options).response["violations"]:
                if fault["impact"] in BAD:
                    where = "; ".join(node["html"][:160] for node in fault["nodes"][:3])
                    found.append(
                        f"{address}, {scheme}: {fault['id']} ({fault['help']}), {len(fault['nodes'])}: {where}"
                    )
    assert not found, "\n".join(found)
