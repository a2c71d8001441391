"""What a page says when it no longer hears from the server, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import Browser, Page, Response, Route, expect
from pytest_django.live_server_helper import LiveServer

from console.accounts.models import RoleBinding, User
from scheduler.models import Execution, NodeExecution
from scheduler.phases import AttemptPhase, NodePhase
from tests.console.pages.cast import World, make_attempt
from tests.e2e.test_late import wait_for
from tests.e2e.test_pages import browser, log_in, world

__all__ = ["browser", "world"]

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def running(browser: Browser, live_server: LiveServer, world: World) -> Iterator[Page]:
    """The page of an execution whose clock counts."""
    node = NodeExecution.objects.get(execution=world.evaluates, node_id="n1")
    NodeExecution.objects.filter(pk=node.pk).update(phase=NodePhase.RUNNING)
    make_attempt(node, AttemptPhase.RUNNING)
    with browser.new_context(viewport={"width": 390, "height": 800}, base_url=live_server.url) as context:
        log_in(context, live_server, world)
        page = context.new_page()
        page.goto("/executions/demo/development/aevaluates/")
        expect(page.locator(".facts [data-clock=running]")).to_be_visible()
        yield page


def clock_stands(page: Page) -> bool:
    """Whether the clock stands, at last: an answer that was on its way may still change what is shown, once."""
    clock = page.locator(".facts [data-clock=running]")
    for _ in range(3):
        before = clock.text_content()
        page.wait_for_timeout(2500)
        if clock.text_content() == before:
            return True
    return False


def test_an_ended_session_is_said_once_and_clocks_stop(running: Page) -> None:
    assert not clock_stands(running)
    Session.objects.all().delete()

    said = running.get_by_text("Your session has ended")
    expect(said).to_be_visible(timeout=10_000)
    expect(running.get_by_label("Password")).to_have_count(0)
    assert clock_stands(running)
    expect(said).to_have_count(1)
    address = running.get_by_role("link", name="Log in again").get_attribute("href")
    assert address == "/login/?next=/executions/demo/development/aevaluates/"


def test_a_lost_connection_is_said_and_goes_when_it_is_back(running: Page) -> None:
    running.context.set_offline(True)
    said = running.get_by_text("The connection is lost")
    expect(said).to_be_visible(timeout=10_000)
    assert clock_stands(running)

    running.context.set_offline(False)

    expect(said).to_be_hidden(timeout=10_000)
    assert not clock_stands(running)


def test_an_answer_that_was_on_its_way_does_not_say_that_the_connection_is_back(
    browser: Browser, live_server: LiveServer, world: World
) -> None:
    with browser.new_context(base_url=live_server.url) as context:
        log_in(context, live_server, world)
        page, held = context.new_page(), list[Route]()
        page.route("**/bell/", lambda route: held.append(route))
        page.goto("/tokens/")  # where nothing else asks
        wait_for(page, held)  # the bell asks as soon as the page is there
        context.set_offline(True)
        said = page.get_by_text("The connection is lost")
        expect(said).to_be_visible(timeout=10_000)

        held[0].fulfill(status=200, body="<a href='/inbox/' id='late'>late</a>")

        expect(page.locator("#late")).to_be_attached()
        expect(said).to_be_visible()


def test_a_page_that_one_may_no_longer_read_says_so_and_stops_its_clocks(running: Page, world: World) -> None:
    User.objects.filter(pk=world.admin.pk).update(is_superuser=False)
    RoleBinding.objects.filter(user=world.admin).delete()

    said = running.get_by_text("This is no longer here for you")
    expect(said).to_be_visible(timeout=10_000)

    assert clock_stands(running)
    expect(said).to_be_visible()


def test_a_server_that_fails_is_said_too(running: Page) -> None:
    running.route("**/executions/**", lambda route: route.fulfill(status=502, body="bad gateway"))

    expect(running.get_by_text("The connection is lost")).to_be_visible(timeout=10_000)


def test_polls_of_what_has_not_changed_are_answered_304(
    browser: Browser, live_server: LiveServer, world: World
) -> None:
    with browser.new_context(base_url=live_server.url) as context:
        log_in(context, live_server, world)
        page, answers = context.new_page(), list[Response]()

        def note(answer: Response) -> None:
            if "hx-request" in answer.request.headers and "/executions/" in answer.url:  # not the bell's
                answers.append(answer)

        page.on("response", note)
        page.goto("/executions/")
        page.wait_for_timeout(9_000)
        assert [answer.status for answer in answers][:3] == [200, 304, 304]

        Execution.objects.filter(pk=world.failed.pk).update(name="renamed")

        expect(page.get_by_role("link", name="renamed")).to_be_visible(timeout=10_000)
