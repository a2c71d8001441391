"""The demo as a newcomer sees it: four teams connect through artifacts; a person approves, and that deploys."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from causeway.client import CausewayError, Client, Version
from playwright.sync_api import Page, expect, sync_playwright

from tests.e2e.test_pages import ARGUMENTS
from tests.stack import RunningStack

pytestmark = pytest.mark.e2e

DEMO = Path(__file__).resolve().parents[2] / "examples" / "archipelago"


def run(stack: RunningStack, script: str, *arguments: str) -> str:
    environment = {**os.environ, "CAUSEWAY_URL": stack.http_url, "CAUSEWAY_TOKEN": stack.admin_token}
    environment["FLYTECTL_CONFIG"] = str(stack.flyte_config_file)
    command = [sys.executable, str(DEMO / script), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wait_for(what: Callable[[], Any], seconds: float = 90) -> Any:
    """What `what` returns once it returns something."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.5)
    return found


def newest(client: Client, name: str) -> Version | None:
    try:
        return client.get(name, partitions={"region": "south"})
    except CausewayError as error:
        assert error.status == 404, error
        return None


def log_in(page: Page, stack: RunningStack) -> None:
    link = re.search(r"http\S+", stack.manage("login_link"))
    assert link is not None
    page.goto(link.group())


def test_it_goes_from_a_dataset_to_a_deployment(stack: RunningStack, tmp_path: Path) -> None:
    client = Client(stack.http_url, stack.admin_token)
    run(stack, "run.py", "--region", "south")

    dataset = wait_for(lambda: newest(client, "ml-dataset"))
    model = wait_for(lambda: newest(client, "ml-model"))
    (approval,) = wait_for(client.approvals)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        log_in(page, stack)

        page.goto(f"{stack.http_url}/artifacts/")
        expect(page.get_by_role("link", name="ml-model").first).to_be_visible()
        page.goto(f"{stack.http_url}/artifacts/versions/{model.id}/card/")
        expect(page.get_by_text("ROC AUC")).to_be_visible()

        page.goto(f"{stack.http_url}/approvals/")
        page.get_by_role("link", name="Review").click()
        deck = page.frame_locator("iframe.deck")
        expect(deck.get_by_text("Evaluation of the south model")).to_be_visible()
        expect(deck.locator("img[alt=plot]")).to_be_visible()
        page.get_by_label("Comment").fill("The curve is fine")
        page.get_by_role("button", name="Approve").click()
        page.get_by_role("dialog").get_by_role("button", name="Approve").click()
        expect(page.get_by_role("complementary", name="Decision").get_by_text("The curve is fine")).to_be_visible()

        deployment = wait_for(lambda: newest(client, "deployment"))
        page.goto(f"{stack.http_url}/artifacts/versions/{deployment.id}/lineage/")
        page.get_by_role("link", name=re.compile("approved-ml-model")).first.click()
        expect(page.get_by_role("heading", name=re.compile("approved-ml-model"))).to_be_visible()
        browser.close()

    assert approval["signal_id"] == "approve_model"
    assert ancestors(deployment) >= {"approved-ml-model", "ml-model", "ml-dataset"}
    assert dataset.fields["producer"].startswith("task:data_team.dataset.create_ml_dataset")
    assert run(stack, "ask.py", "--region", "south", "--rows", "3").count("benign with probability") == 3


def ancestors(version: Version) -> set[str]:
    """The names of everything it was made from, hop by hop."""
    found: set[str] = set()
    waiting = [version]
    while waiting:
        for producer in waiting.pop().lineage()["producers"]:
            for fields in producer["versions"]:
                if fields["name"] not in found:
                    found.add(fields["name"])
                    waiting.append(Version(version.connection, fields))
    return found
