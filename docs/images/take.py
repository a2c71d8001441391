"""Takes the pictures of docs/console.md for `script/pictures`: give it the console's address and a login link."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

FOLDER = Path(__file__).resolve().parent
SIZE: ViewportSize = {"width": 1280, "height": 800}
# Picture, where it is taken, and the links that lead on from there: the first that each selector finds.
PICTURES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("overview", "/", ()),
    ("artifacts", "/artifacts/names/", ()),
    ("artifact", "/artifacts/names/?q=demand-model", ("#name-list td a.main",)),
    ("compare", "/artifacts/names/?q=fraud-model", ("#name-list td a.main", "button:has-text('Compare the chosen')")),
    (
        "lineage-canvas",
        "/artifacts/names/?q=demand-model",
        (
            "#name-list td a.main",
            ".page-head a:has-text('Newest')",
            ".tabs a:has-text('Lineage')",
            "a:has-text('Canvas')",
        ),
    ),
    ("execution", "/executions/?q=workflow:score_stores", ("#execution-list td a", "#t-timeline")),
    ("approval", "/approvals/", ("a[href^='/approvals/']:has-text('approve')",)),
    ("queue", "/quotas/", ()),
    ("schedules", "/schedules/calendar/", ()),
    ("usage", "/usage/", ()),
)


def take(page: Page, name: str, start: str, steps: tuple[str, ...]) -> None:
    page.goto(start)
    for step in steps:
        page.locator(f"main {step}").first.click()
        page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)  # what a canvas draws
    page.screenshot(path=FOLDER / f"{name}.png")
    sys.stdout.write(f"{name}.png\n")


def main(url: str, link: str) -> None:
    chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with browser.new_context(viewport=SIZE, base_url=url, color_scheme="light", timezone_id="UTC") as context:
            page = context.new_page()
            page.goto(link)
            if page.locator("main button").count():  # a link asks before it logs in
                page.locator("main button").first.click()
            for name, start, steps in PICTURES:
                take(page, name, start, steps)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:3])
