"""The console in a real browser: logging in, deciding, following what changes, on a desk and on a phone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from artifacts.store import store
from scheduler.models import Execution
from scheduler.phases import ExecutionPhase
from tests.console.pages import values_program
from tests.console.pages.cast import World, make_world
from tests.console.pages.test_untouched_values import plain_launch
from tests.flyte import register_module

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
RUN = "/executions/demo/development/{}/"
PAGES = [
    *("/", "/artifacts/", "/map/", "/executions/", "/approvals/", "/launch-plans/", "/reactions/", "/workflows/"),
    *("/tasks/", "/tokens/", "/notifications/", "/launch-plans/demo/development/train_on_dataset/"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright's loop runs in this thread; Django would take every query for one out of asynchronous code.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def world(transactional_db: None) -> World:
    return make_world()


def log_in(context: BrowserContext, live_server: LiveServer, world: World) -> None:
    client = Client()
    client.force_login(world.admin)
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])


@pytest.fixture
def desk(browser: Browser, live_server: LiveServer, world: World) -> Iterator[Page]:
    with browser.new_context(viewport={"width": 1440, "height": 900}, base_url=live_server.url) as context:
        log_in(context, live_server, world)
        yield watched(context.new_page())


def watched(page: Page) -> Page:
    """A page that fails the test when the browser complains, as it does about each breach of the security policy."""
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.complaints = complaints  # type: ignore[attr-defined]
    return page


def complaints_of(page: Page) -> list[str]:
    return list(page.complaints)  # type: ignore[attr-defined]


def test_it_logs_in_with_name_and_password(browser: Browser, live_server: LiveServer, world: World) -> None:
    with browser.new_context(base_url=live_server.url) as context:
        page = watched(context.new_page())
        page.goto("/approvals/")
        page.get_by_label("User name").fill("admin")
        page.get_by_label("Password").fill("admin-password")
        page.get_by_role("button", name="Log in").click()

        expect(page.get_by_role("heading", name="Approvals")).to_be_visible()
        assert not complaints_of(page)


def test_it_approves_after_asking(desk: Page, world: World) -> None:
    desk.goto("/")
    desk.get_by_role("link", name="Review").click()
    desk.get_by_label("Comment").fill("looked at the plots")
    desk.get_by_role("button", name="Approve").click()
    dialog = desk.get_by_role("dialog")
    expect(dialog).to_contain_text("Approve approve_model?")
    dialog.get_by_role("button", name="Cancel").click()
    world.gate.refresh_from_db()
    assert world.gate.decided_at is None

    desk.get_by_role("button", name="Approve").click()
    dialog.get_by_role("button", name="Approve").click()

    expect(desk.get_by_role("complementary", name="Decision").get_by_text("looked at the plots")).to_be_visible()
    world.gate.refresh_from_db()
    assert world.gate.decided_by == "admin"
    assert not complaints_of(desk)


def test_it_follows_an_execution_to_its_end(desk: Page, world: World) -> None:
    desk.goto(RUN.format("aevaluates"))
    badge = desk.locator(".page-head .badge")
    expect(badge).to_have_text("Gated")  # somebody is asked

    ended = world.evaluates.created_at
    Execution.objects.filter(pk=world.evaluates.pk).update(phase=ExecutionPhase.SUCCEEDED, ended_at=ended)

    expect(badge).to_have_text("Succeeded", timeout=8000)
    expect(desk.locator("#execution")).not_to_have_attribute("hx-trigger", re.compile("every"))


def test_it_searches_while_one_types(desk: Page, world: World) -> None:
    desk.goto("/artifacts/")
    expect(desk.get_by_role("link", name="ml-model", exact=True)).to_be_visible()
    desk.locator("#q").press_sequentially("region=LAX")

    expect(desk.get_by_role("link", name="ml-model", exact=True)).to_have_count(0)
    expect(desk.get_by_role("link", name="ml-dataset", exact=True)).to_have_count(1)
    assert "region%3DLAX" in desk.url
    assert not complaints_of(desk)


def test_it_walks_the_lineage_by_clicking(desk: Page, world: World) -> None:
    desk.goto(f"/artifacts/versions/{world.model.pk}/lineage/")
    desk.locator("a.node-artifact").first.click()
    expect(desk).to_have_url(re.compile(f"/artifacts/versions/{world.dataset.pk}/lineage/$"))
    desk.locator("a.node-run").first.click()
    expect(desk).to_have_url(re.compile("/executions/"))


def test_it_runs_a_decks_script_but_only_in_its_sandbox(desk: Page, world: World) -> None:
    desk.goto(f"/approvals/{world.gate.pk}/")
    frame = desk.frame_locator("iframe.deck")

    expect(frame.get_by_text("drawn")).to_be_visible()
    assert next(frame for frame in desk.frames if "deck" in frame.url).evaluate("self.origin") == "null"


def test_it_resolves_a_query_as_one_types(desk: Page, world: World) -> None:
    desk.goto(f"/launch-plans/demo/development/{world.trains.workflow.name}/launch/")
    expect(desk.locator(".query-found")).to_contain_text("has no value")
    desk.get_by_role("textbox", name="region").fill("SEA")
    desk.get_by_role("textbox", name="depth").click()

    expect(desk.locator(".query-found").get_by_role("link", name="ml-dataset")).to_be_visible()


def test_it_changes_the_theme(desk: Page) -> None:
    desk.goto("/")
    desk.locator("summary", has_text="admin").click()
    desk.get_by_role("button", name="Dark").click()

    expect(desk.locator("html")).to_have_attribute("data-theme", "dark")
    assert desk.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 21, 25)"


def test_it_can_be_used_from_the_keyboard(desk: Page) -> None:
    desk.goto("/")
    desk.keyboard.press("Tab")
    expect(desk.get_by_role("link", name="Skip to content")).to_be_focused()
    desk.keyboard.press("Enter")
    desk.keyboard.press("Tab")
    assert desk.evaluate("document.querySelector('main').contains(document.activeElement)")


@pytest.mark.parametrize("width", [390, 768])
def test_it_fits_narrow_screens_and_weighs_little(
    browser: Browser, live_server: LiveServer, world: World, width: int
) -> None:
    version, run = f"/artifacts/versions/{world.model.pk}/", RUN.format("atrains")
    tabs = [f"{version}{tab}/" for tab in ("lineage", "object", "card", "graph", "compare", "triggers", "remove")]
    retention = f"/artifacts/retention/{world.model.artifact_id}/"
    more = [version, *tabs, retention, run, f"{run}data/", f"{run}events/", f"{run}nodes/n0/"]
    with browser.new_context(viewport={"width": width, "height": 844}, base_url=live_server.url) as context:
        log_in(context, live_server, world)
        page = watched(context.new_page())
        for address in [*PAGES, *more, f"/approvals/{world.gate.pk}/"]:
            page.goto(address)
            root = "document.documentElement"
            assert page.evaluate(f"{root}.scrollWidth <= {root}.clientWidth"), address
            sizes = "performance.getEntriesByType('resource').reduce((sum, entry) => sum + entry.decodedBodySize, 0)"
            assert page.evaluate(sizes) < 200_000, address
        assert not complaints_of(page)


def test_it_reads_without_javascript(browser: Browser, live_server: LiveServer, world: World) -> None:
    with browser.new_context(java_script_enabled=False, base_url=live_server.url) as context:
        log_in(context, live_server, world)
        page = context.new_page()
        page.goto(RUN.format("atrains"))
        page.get_by_role("link", name="Inputs and outputs").click()
        expect(page.get_by_role("link", name="ml-model").first).to_be_visible()
        page.goto("/artifacts/")
        page.locator("#q").fill("region=LAX")
        page.get_by_role("button", name="Search").click()
        expect(page.get_by_role("link", name="ml-dataset", exact=True)).to_have_count(1)


def test_a_form_that_a_browser_sends_untouched_launches_what_it_showed(desk: Page, world: World) -> None:
    register_module(values_program, project="demo", domain="development")
    name = f"{values_program.__name__}.untouched"
    expected = store().get(plain_launch(world, name).inputs_uri)

    desk.goto(f"/launch-plans/demo/development/{name}/launch/")
    desk.get_by_role("button", name="Launch").click()

    expect(desk).to_have_url(re.compile("/executions/demo/development/"))
    assert store().get(Execution.objects.order_by("-pk")[0].inputs_uri) == expected
