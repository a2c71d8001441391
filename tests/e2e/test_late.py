"""Answers that come late, twice or never, and what a page keeps meanwhile, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sized

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from pytest_django.live_server_helper import LiveServer

from scheduler.models import NodeExecution, TaskExecution
from scheduler.phases import AttemptPhase, NodePhase
from tests.console.pages.cast import World, make_attempt
from tests.e2e.test_pages import browser, log_in, world

__all__ = ["browser", "world"]

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

RUN = "/executions/demo/development/aevaluates/"


@pytest.fixture
def page(browser: Browser, live_server: LiveServer, world: World) -> Iterator[Page]:
    with browser.new_context(viewport={"width": 1440, "height": 900}, base_url=live_server.url) as context:
        log_in(context, live_server, world)
        yield context.new_page()


def wait_for(page: Page, asked: Sized) -> None:
    """Until a request is in the list, as long as a slow machine takes."""
    for _ in range(150):
        if asked:
            return
        page.wait_for_timeout(100)
    raise AssertionError("nothing was asked for")


def is_asked_by_htmx(route: Route) -> bool:
    return "hx-request" in route.request.headers


def test_an_answer_that_was_on_its_way_does_not_take_what_is_typed(page: Page) -> None:
    held: list[Route] = []
    page.route(f"**{RUN}", lambda route: held.append(route) if is_asked_by_htmx(route) else route.continue_())
    page.goto(RUN)
    wait_for(page, held)
    page.locator("#do-abort").click()
    page.get_by_label("Why?").fill("it trains on the wrong year")

    with page.expect_response(lambda answer: answer.url.endswith(RUN)):
        held[0].continue_()
    page.wait_for_timeout(500)

    expect(page.get_by_label("Why?")).to_be_visible()
    expect(page.get_by_label("Why?")).to_have_value("it trains on the wrong year")


def test_an_answer_that_was_on_its_way_does_not_take_the_form_that_is_asked_about(page: Page, world: World) -> None:
    held: list[Route] = []
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.route(f"**{RUN}", lambda route: held.append(route) if is_asked_by_htmx(route) else route.continue_())
    page.goto(RUN)
    wait_for(page, held)
    page.locator("#do-relaunch").click()
    expect(page.get_by_role("dialog")).to_be_visible()

    with page.expect_response(lambda answer: answer.url.endswith(RUN)):
        held[0].continue_()
    page.wait_for_timeout(500)
    page.get_by_role("dialog").get_by_role("button", name="Relaunch").click()
    wait_for(page, sent)
    page.wait_for_timeout(500)

    assert [address.endswith("/relaunch/") for address in sent] == [True]


def test_enter_in_the_palette_follows_no_hit_of_what_was_typed_before(page: Page) -> None:
    page.goto("/tokens/")
    page.keyboard.press("Control+k")
    page.locator("#palette-q").fill("ml-model")
    expect(page.locator("#palette a[href='/artifacts/demo/development/ml-model/']")).to_be_visible()
    page.route("**/search/**", lambda route: None if is_asked_by_htmx(route) else route.continue_())

    page.locator("#palette-q").fill("ml-dataset")
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile(r"/search/\?q=ml-dataset$"))


def test_a_form_that_is_pressed_twice_is_sent_once(page: Page) -> None:
    sent: list[str] = []
    page.route("**/recover/", lambda route: sent.append(route.request.url))
    page.goto("/executions/demo/development/afailed/")

    page.locator("#do-recover").evaluate("button => [0, 400].forEach(ms => setTimeout(() => button.click(), ms))")
    wait_for(page, sent)
    page.wait_for_timeout(1000)

    assert len(sent) == 1


def test_a_button_that_copies_says_so_for_a_moment_however_often_it_is_pressed(page: Page) -> None:
    page.goto("/styleguide/")
    button = page.locator("[data-copy]").first
    before = button.text_content() or ""

    button.evaluate("button => [0, 400].forEach(ms => setTimeout(() => button.click(), ms))")

    expect(button).not_to_have_text(before)
    page.wait_for_timeout(3000)
    expect(button).to_have_text(before)


def test_what_was_confirmed_once_is_asked_again(page: Page) -> None:
    page.route("**/relaunch/", lambda route: route.fulfill(status=204))
    page.goto("/executions/demo/development/afailed/")
    dialog = page.get_by_role("dialog")
    page.locator("#do-relaunch").click()
    dialog.get_by_role("button", name="Relaunch").click()
    expect(dialog).to_be_hidden()

    page.locator("#do-relaunch").click()

    expect(dialog).to_be_visible()


def test_a_log_goes_on_after_the_connection_was_lost(page: Page, world: World) -> None:
    node = NodeExecution.objects.get(execution=world.evaluates, node_id="n1")
    NodeExecution.objects.filter(pk=node.pk).update(phase=NodePhase.RUNNING)
    attempt: TaskExecution = make_attempt(node, AttemptPhase.RUNNING)
    asked: list[str] = []
    is_lost = True

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        route.abort() if is_lost else route.fulfill(status=200, body="<span>epoch 2</span>")

    page.route(f"**/logs/{attempt.pk}/**", answer)
    page.goto(f"{RUN}nodes/n1/")
    wait_for(page, asked)
    is_lost = False

    expect(page.get_by_text("epoch 2")).to_be_visible(timeout=10_000)
