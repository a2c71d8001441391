"""The canvas of lineage and the launch form's fields, as scripts draw them."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from artifacts.models import Kind
from lineage.actions.record import record_derivations
from scheduler.models import Execution
from tests.console.pages import launch_program
from tests.console.pages.cast import World, make_version
from tests.e2e.test_pages import browser, complaints_of, desk, log_in, world
from tests.flyte import register_module

__all__ = ["browser", "desk", "world"]

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def chain(world: World) -> list[int]:
    """Four versions in a row, and three made of the last: two steps see the first three only."""
    made = [make_version(f"step-{at}", Kind.DATASET, number=800 + at).pk for at in range(4)]
    ends = [make_version("leaf", Kind.DATASET, number=820 + at).pk for at in range(3)]
    record_derivations([*zip(made, made[1:], strict=False), *((made[-1], end) for end in ends)])
    return [*made, *ends]


def canvas(page: Page, version: int) -> None:
    page.goto(f"/artifacts/versions/{version}/canvas/")
    expect(page.locator("#lineage-canvas")).to_have_attribute("data-drawn", re.compile("[0-9]+"))


def test_it_opens_and_closes_what_is_around_a_version_by_keyboard(desk: Page, chain: list[int]) -> None:
    canvas(desk, chain[0])
    status, drawing = desk.locator("#lineage-status"), desk.locator("#lineage-canvas")
    expect(status).to_have_text("3 versions, 2 steps each way.")
    drawing.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight"):
        desk.keyboard.press(key)
    expect(status).to_contain_text("step-2")
    desk.keyboard.press("Enter")
    expect(status).to_contain_text("1 more")
    desk.keyboard.press("ArrowRight")
    expect(status).to_contain_text("step-3")
    desk.keyboard.press("Enter")
    expect(status).to_contain_text("3 more")
    desk.keyboard.press("ArrowRight")
    expect(status).to_contain_text("leaf")
    desk.keyboard.press("ArrowLeft")
    desk.keyboard.press("Enter")
    expect(status).to_contain_text("Closed again")
    for key in ("+", "-", "f"):
        desk.keyboard.press(key)
    desk.keyboard.press("o")
    expect(desk).to_have_url(re.compile(f"/artifacts/versions/{chain[3]}/canvas/"))
    assert not complaints_of(desk)


def test_versions_of_a_name_are_one_and_executions_stand_between(desk: Page, world: World, chain: list[int]) -> None:
    canvas(desk, chain[3])
    status, drawing = desk.locator("#lineage-status"), desk.locator("#lineage-canvas")
    desk.get_by_label("Group by name").check()
    drawing.focus()
    desk.keyboard.press("ArrowRight")
    desk.keyboard.press("ArrowRight")
    expect(status).to_contain_text("leaf, 3 versions")
    canvas(desk, world.model.pk)
    desk.get_by_label("Executions").check()
    drawing.focus()
    desk.keyboard.press("ArrowRight")
    desk.keyboard.press("ArrowLeft")
    expect(status).to_contain_text("atrains")
    assert not complaints_of(desk)


def test_it_shows_where_one_is_how_old_things_are_and_how_it_was(desk: Page, chain: list[int]) -> None:
    canvas(desk, chain[1])
    status, drawing = desk.locator("#lineage-status"), desk.locator("#lineage-canvas")
    small = desk.locator("#lineage-minimap")
    expect(small).to_be_visible()
    drawn = small.evaluate("(c) => new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size > 2")
    assert drawn, "the small picture is empty"
    for colour in ("age", "stale", "kind"):
        desk.get_by_label("Colour").select_option(colour)
    time = desk.get_by_label("As of")
    expect(time).to_be_visible()
    time.focus()
    desk.keyboard.press("Home")
    expect(status).to_contain_text("As it was on")
    drawing.focus()
    desk.keyboard.press("ArrowRight")
    expect(status).to_contain_text("feeds 0 that are drawn")  # what was made of it was not there yet
    time.focus()
    desk.keyboard.press("End")
    expect(status).to_have_text("As it is now.")
    assert not complaints_of(desk)


def test_without_scripts_the_same_stands_in_pictures_and_tables(
    browser: Browser, live_server: LiveServer, world: World, chain: list[int]
) -> None:
    with browser.new_context(java_script_enabled=False, base_url=live_server.url) as context:
        log_in(context, live_server, world)
        page = context.new_page()
        page.goto(f"/artifacts/versions/{chain[1]}/canvas/")
        expect(page.get_by_role("link", name="step-0").last).to_be_visible()
        expect(page.get_by_role("link", name="step-3").last).to_be_visible()
        expect(page.locator("#lineage-canvas")).to_be_hidden()


def test_fields_of_structured_inputs_are_what_is_launched(desk: Page, world: World) -> None:
    register_module(launch_program, project="demo", domain="development")
    desk.goto(f"/launch-plans/demo/development/{launch_program.__name__}.structured/launch/")
    point = desk.get_by_role("group", name="point", exact=True)
    point.get_by_label("x *").fill("9007199254740993")  # more digits than a number of JavaScript has
    point.get_by_role("button", name="Add to tags").click()
    point.get_by_label("tags 1").fill('with "quotes"')
    setup = desk.get_by_role("group", name="setup", exact=True)
    setup.get_by_label("name *").fill("first")
    setup.get_by_label("limit: what").select_option(label="float")
    setup.get_by_label("limit", exact=True).fill("2.5")
    for number in ("1", "2"):
        desk.get_by_role("button", name="Add to numbers").click()
        desk.get_by_label(f"numbers {number}").fill(number)
    desk.get_by_role("button", name="Add to named").click()
    desk.get_by_role("textbox", name="key").fill("a")
    desk.get_by_label("value", exact=True).fill("0.5")
    desk.locator("[name='in.mode']").select_option("exact")
    desk.locator("[name='in.data']").fill("s3://elsewhere/x.csv")
    desk.get_by_role("button", name="Show the call").click()

    body = desk.locator("#call-rest").inner_text().split("-d '", 1)[1].rsplit("'", 1)[0]
    texts = json.loads(body)["texts"]
    assert json.loads(texts["point"]) == {"tags": ['with "quotes"'], "x": 9007199254740993, "y": 0.5}
    assert json.loads(texts["setup"]) == {"depth": 3, "limit": 2.5, "name": "first", "weights": {}}
    assert json.loads(texts["numbers"]) == [1, 2] and json.loads(texts["named"]) == {"a": 0.5}
    before = Execution.objects.count()
    desk.get_by_role("button", name="Launch").click()
    expect(desk).to_have_url(re.compile("/executions/demo/development/"))
    assert Execution.objects.count() == before + 1
    assert not complaints_of(desk)


def test_a_list_loses_the_row_that_is_removed(desk: Page, world: World) -> None:
    register_module(launch_program, project="demo", domain="development")
    desk.goto(f"/launch-plans/demo/development/{launch_program.__name__}.structured/launch/")
    for number in ("1", "2", "3"):
        desk.get_by_role("button", name="Add to numbers").click()
        desk.get_by_label(f"numbers {number}").fill(number)
    numbers = desk.get_by_role("group", name="numbers", exact=True)
    numbers.get_by_role("button", name="Remove").nth(1).click()
    assert json.loads(desk.locator("[name='in.numbers']").input_value()) == [1, 3]
