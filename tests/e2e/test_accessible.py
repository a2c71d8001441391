"""What the audits of WCAG found wrong here once, on every page, at the width of a desk and of a phone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from pytest_django.live_server_helper import LiveServer

from tests.console.pages.cast import World
from tests.e2e.test_pages import PAGES, browser, log_in, world

__all__ = ["browser", "world"]

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

MORE = [
    *("/executions/demo/development/afailed/", "/executions/demo/development/atrains/data/", "/api/v1/docs"),
    *("/launch-plans/demo/development/train_on_dataset/launch/", "/approvals/{gate}/", "/artifacts/?q=ml"),
    *("/artifacts/demo/development/ml-model/", "/artifacts/versions/{model}/", "/artifacts/versions/{model}/object/"),
    *("/executions/demo/development/atrains/nodes/n0/", "/artifacts/versions/{model}/lineage/", "/clusters/"),
    "/connectors/",
]
FAULTS = """() => {
  const shown = (e) => e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && e.getClientRects().length;
  const all = (selector) => [...document.querySelectorAll(selector)].filter(shown);
  const faults = [];
  const told = (e, what) => faults.push(`${what}: ${e.outerHTML.slice(0, 120)}`);
  for (const e of all("summary, button, a[href]")) {
    const text = (e.innerText ?? e.textContent).trim();
    const named = e.getAttribute("aria-label") || text || e.title || e.querySelector("title, [aria-label]");
    if (!named) told(e, "no name");
  }
  for (const e of all("main a[href], main button, main input, main select, main summary")) {
    const box = e.getBoundingClientRect();
    const isInText = e.closest("p, dd, .lead, svg, label, h1") && e.matches("a, input");
    if (e.type === "hidden" || isInText || !box.width) continue;
    if (Math.min(box.width, box.height) < 23.9) told(e, `smaller than 24 px (${box.width} by ${box.height})`);
  }
  for (const e of all("main p a[href]:not(.button, .chip, .badge, .strong)")) {
    if (e.closest("p").innerText.trim() === e.innerText.trim()) continue;
    if (!getComputedStyle(e).textDecorationLine.includes("underline")) told(e, "a link like the text around it");
  }
  for (const e of all("main pre, main .log")) {
    const scrolls = e.scrollHeight > e.clientHeight + 1 || e.scrollWidth > e.clientWidth + 1;
    if (scrolls && e.tabIndex < 0 && !e.querySelector("a[href], button")) told(e, "scrolls without focus");
  }
  return faults;
}"""


@pytest.fixture(params=[1440, 390])
def page(request: pytest.FixtureRequest, browser: Browser, live_server: LiveServer, world: World) -> Iterator[Page]:
    with browser.new_context(viewport={"width": request.param, "height": 900}, base_url=live_server.url) as context:
        log_in(context, live_server, world)
        yield context.new_page()


def test_nothing_is_too_small_nameless_or_out_of_reach(page: Page, world: World) -> None:
    found: dict[str, Any] = {}
    for address in [*PAGES, *MORE]:
        page.goto(address.format(gate=world.gate.pk, model=world.model.pk))
        page.evaluate("document.querySelectorAll('main details').forEach((each) => { each.open = true; })")
        if faults := page.evaluate(FAULTS):
            found[address] = faults
    assert not found, "\n".join(f"{address}: {fault}" for address, faults in found.items() for fault in faults)
