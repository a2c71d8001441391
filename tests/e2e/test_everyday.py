"""The everyday tasks of the console, as somebody new does them, on a filled installation: each takes at most two clicks
or one search to get where the answer or the form is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from pytest_django.live_server_helper import LiveServer

from artifacts.alias_history import versions_before
from artifacts.models import Alias, ArtifactVersion
from console.accounts.models import User
from scheduler.models import Execution, ExecutorInstance, Gate, Quota, Schedule, Trigger
from scheduler.phases import AttemptPhase, ExecutionPhase, NodePhase
from tests.console.pages.cast import make_attempt, make_node
from tests.e2e.test_pages import browser, complaints_of, watched

__all__ = ["browser"]

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

SIZES = ("--versions=900", "--executions=400", "--storm=200", "--waiting=2", "--map-items=20", "--seed=5")
CLICKS = 2


class Visitor:
    """Somebody at the console who counts what he does: `task` begins at home, and two clicks or one search later he has
    to be there. What is typed into a form, and its button, is the task itself.
    """

    def __init__(self, page: Page) -> None:
        self.page, self.clicks, self.searches = page, 0, 0

    @contextmanager
    def task(self, name: str) -> Iterator[None]:
        self.clicks = self.searches = 0
        self.page.goto("/")
        yield
        assert self.clicks + CLICKS * self.searches <= CLICKS, f"{name}: {self.clicks} clicks, {self.searches} searches"

    def click(self, what: Locator) -> None:
        self.clicks += 1
        what.click()

    def go(self, name: str) -> None:
        """By the navigation."""
        self.click(self.page.get_by_role("navigation", name="Main").get_by_role("link", name=name, exact=True))

    def search(self, text: str, hit: str) -> None:
        """Ctrl-K, some letters, and the link that is called so."""
        self.searches += 1
        self.page.keyboard.press("Control+k")
        palette = self.page.get_by_role("dialog", name="Search everywhere")
        palette.get_by_role("combobox").fill(text)
        palette.get_by_role("link", name=hit).first.click()


def _log_in(context: BrowserContext, live_server: LiveServer, user: User) -> None:
    client = Client()
    client.force_login(user)
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])


def _wait_for_a_gpu() -> Execution:
    """One of those that go on has an attempt that waits."""
    now = timezone.now()
    ExecutorInstance.objects.create(name="local", executor="local", capacity={}, started_at=now, seen_at=now)
    run = Execution.objects.filter(phase=ExecutionPhase.SUCCEEDED).order_by("-created_at")[0]
    Execution.objects.filter(pk=run.pk).update(phase=ExecutionPhase.RUNNING, ended_at=None, created_at=now)
    run.refresh_from_db()
    make_attempt(
        make_node(run, "waits", NodePhase.QUEUED, started_at=None), AttemptPhase.QUEUED, reason="waiting for gpu 1"
    )
    return run


def _fail_tonight() -> None:
    """The newest of those that failed did so an hour ago."""
    hour_ago = timezone.now() - timedelta(hours=1)
    run = Execution.objects.filter(phase=ExecutionPhase.FAILED).latest("created_at")
    Execution.objects.filter(pk=run.pk).update(created_at=hour_ago, started_at=hour_ago, ended_at=timezone.now())


def _miss_a_day() -> None:
    """The newest but one of a region is of long ago: chance alone leaves a gap among the newest on most days only."""
    days = ArtifactVersion.objects.filter(artifact__name="sales-daily", partitions__region="LAX")
    missed = days.order_by("-time_partition")[1]
    assert missed.time_partition is not None
    ArtifactVersion.objects.filter(pk=missed.pk).update(time_partition=missed.time_partition - timedelta(days=200))


@pytest.fixture
def visitor(browser: Browser, live_server: LiveServer, transactional_db: None) -> Iterator[Visitor]:
    call_command("fill", *SIZES, stdout=StringIO())
    _miss_a_day()
    admin = User.objects.create_superuser("admin")
    with browser.new_context(viewport={"width": 1280, "height": 900}, base_url=live_server.url) as context:
        _log_in(context, live_server, admin)
        page = watched(context.new_page())
        page.set_default_timeout(30_000)
        page.goto("/", timeout=120_000)  # the first page loads all of Django
        yield Visitor(page)


def test_every_task_of_every_day_takes_two_clicks_or_one_search(
    visitor: Visitor, browser: Browser, live_server: LiveServer
) -> None:
    page = visitor.page
    with visitor.task("the newest version of each partition"):
        visitor.search("sales-daily", "sales-daily")
        matrix = page.get_by_role("region", name="Partitions")
        expect(matrix.get_by_role("rowheader", name="SEA")).to_be_visible()
        newest = ArtifactVersion.objects.filter(artifact__name="sales-daily", partitions__region="SEA")
        shown = matrix.get_by_role("row", name=re.compile("^SEA")).get_by_role("link").last
        assert str(newest.latest("created_at").pk) in str(shown.get_attribute("href"))

    waiting = _wait_for_a_gpu()
    with visitor.task("why an execution waits"):
        visitor.click(page.get_by_role("link", name="queued or waiting"))
        row = page.get_by_role("row").filter(has=page.get_by_role("link", name=waiting.name, exact=True))
        expect(row).to_contain_text("for gpu 1")

    _fail_tonight()
    with visitor.task("what failed tonight, and why"):
        failures = page.locator("#home-failures")
        first = failures.locator("li").first
        why = first.locator("p").first.inner_text().removesuffix("…").strip()
        visitor.click(first.get_by_role("link"))
        expect(page.locator(".page-head .badge").first).to_have_text("Failed")
        assert why and why in page.get_by_role("main").inner_text()

    with visitor.task("approve a model with evidence"):
        gate = Gate.objects.filter(decided_at__isnull=True, signal_id="approve_demand_model").order_by("pk")[0]
        asked = page.locator("li").filter(has_text=re.compile("approve_demand_model"))
        visitor.click(asked.get_by_role("link", name="Review"))
        expect(page.get_by_role("main")).to_contain_text("demand-model")
        expect(page.get_by_role("main")).to_contain_text("mape")
        page.get_by_role("button", name="Approve").click()
        page.get_by_role("dialog").get_by_role("button", name="Approve").click()
        expect(page.get_by_role("complementary", name="Decision")).to_contain_text("Approved by admin")
        assert Gate.objects.filter(signal_id=gate.signal_id, decided_by="admin").count() == 1

    with visitor.task("launch with another version"):
        visitor.search("train_on_features", "Launch train_on_features")
        page.locator(".field", has=page.locator("#in-features")).get_by_text("Take a version of an artifact").click()
        page.get_by_label("Search versions for features").fill("features-daily")
        page.get_by_role("radio", name=re.compile("features-daily")).nth(1).check()
        page.get_by_label("Search versions for features").fill("no-such-thing")
        expect(page.get_by_text("Nothing that this input takes.")).to_be_visible()
        expect(page.get_by_role("radio", name=re.compile("features-daily"))).to_be_checked()
        page.locator("#in-region").fill("SEA")
        page.get_by_role("button", name="Launch").click()
        expect(page).to_have_url(re.compile("/executions/retail/development/"))
        assert Execution.objects.filter(principal="admin", launch_plan__name="train_on_features").exists()

    with visitor.task("give a project 4 GPUs"):
        visitor.go("Queue and quotas")
        for label, text in (("Project", "risk"), ("Resource", "gpu"), ("Limit", "4")):
            page.get_by_label(label, exact=True).fill(text)
        page.get_by_role("button", name="Set", exact=True).click()
        expect(page.locator("tr[id^=quota-]").filter(has_text=re.compile("risk.*gpu"))).to_be_visible()
        assert Quota.objects.get(project="risk", resource="nvidia.com/gpu").limit == 4

    with visitor.task("who used what this month"):
        visitor.go("Usage")
        visitor.click(page.get_by_role("navigation", name="By").get_by_role("link", name="By user", exact=True))
        expect(page.get_by_role("cell", name="chloe")).to_be_visible()

    with visitor.task("pause a storm"):
        storm = page.get_by_role("status").filter(has_text="storms")
        visitor.click(storm.get_by_role("button", name="Pause, keep backlog"))
        expect(storm).to_contain_text("paused by admin")
        assert Trigger.objects.get(launch_plan__name="heartbeat", active=True).paused_by == "admin"

    with visitor.task("backfill a schedule"):
        schedule = Schedule.objects.get(launch_plan__name="nightly_sea", active=True)
        launched = schedule.fires.filter(execution__isnull=False).count()
        visitor.go("Schedules")
        row = page.get_by_role("row").filter(has_text="nightly_sea")
        visitor.click(row.get_by_role("link", name="Backfill"))
        day = f"{timezone.now() - timedelta(days=65):%Y-%m-%d}"
        page.get_by_label("From").fill(f"{day}T00:00")
        page.get_by_label("Before").fill(f"{timezone.now():%Y-%m-%d}T00:00")
        page.get_by_role("button", name="Look").click()
        page.get_by_role("button", name=re.compile(r"Launch \d+")).click()
        page.get_by_role("dialog").get_by_role("button", name="Launch").click()
        expect(page.locator(".flash")).to_contain_text(re.compile("Launched [1-9]"))
        assert schedule.fires.filter(execution__isnull=False).count() > launched

    with visitor.task("compare two models"):
        visitor.search("fraud-model", "fraud-model")
        page.get_by_role("button", name="Compare the chosen").click()
        expect(page.get_by_role("main")).to_contain_text("auc")
        expect(page.get_by_role("columnheader")).not_to_have_count(0)

    with visitor.task("launch what is missing"):
        visitor.search("sales-daily", "sales-daily")
        matrix = page.get_by_role("region", name="Partitions")
        page.wait_for_load_state()
        gap = matrix.get_by_role("row", name=re.compile("^LAX")).get_by_role("link", name=re.compile("missing")).last
        day = str(gap.get_attribute("title")).split(", ")[1]
        gap.click()  # the task itself: it opens the form, filled in
        expect(page).to_have_url(re.compile(f"/launch-plans/retail/development/nightly_lax/launch/.*in.day={day}"))
        expect(page.locator("#in-day")).to_have_value(re.compile(day))

    with visitor.task("move the champion of a region back"):
        visitor.search("fraud-model", "fraud-model")
        champions = Alias.objects.filter(artifact__name="fraud-model", name="champion")
        now = champions.get(pk=min(versions_before(champions)))
        row = page.locator("li").filter(has=page.locator(f"#back{now.pk}"))
        expect(row).to_contain_text(now.partitions["region"])
        page.locator(f"#back{now.pk}").click()
        page.get_by_role("dialog").get_by_role("button", name="Move back").click()
        expect(page.locator(".flash")).to_contain_text("names this version now")
        moved = Alias.objects.get(pk=now.pk)
        assert moved.version_id != now.version_id and moved.version.partitions == now.partitions
        assert not Alias.objects.exclude(pk=now.pk).filter(moved_at__gte=moved.moved_at).exists()

    with visitor.task("a service account with a token"):
        visitor.search("service account retail", "retail project: members")
        page.locator("#account").fill("retail-ci")
        page.locator("form", has=page.locator("#account")).get_by_role("button", name="Make").click()
        page.get_by_label("What the token of retail-ci is for").fill("nightly")
        page.get_by_role("row").filter(has_text="retail-ci").get_by_role("button", name="Make").click()
        expect(page.locator("#secret")).to_have_text(re.compile("^cwy_"))

    with visitor.task("what ran late last night"):
        visitor.search("late", "Schedules")
        expect(page.get_by_role("heading", name="Went wrong in 24 hours")).to_be_visible()
        expect(page.get_by_text("Late", exact=True).first).to_be_visible()

    with visitor.task("what a project used and what it cost"):
        visitor.search("cost retail", "Usage retail")
        expect(page).to_have_url(re.compile("/usage/.*project=retail"))
        expect(page.get_by_role("cell", name="retail")).to_be_visible()
        expect(page.get_by_role("columnheader", name="Cost")).to_be_visible()

    with visitor.task("launch again what failed"):
        visitor.click(page.locator("#home-failures li").first.get_by_role("link"))
        launched = Execution.objects.count()
        page.locator("#do-relaunch").click()
        page.get_by_role("dialog").get_by_role("button", name="Relaunch", exact=True).click()
        expect(page.locator(".page-head .badge").first).not_to_have_text("Failed")
        assert Execution.objects.count() == launched + 1

    with visitor.task("share a link"):
        visitor.click(page.get_by_role("link", name="failed in 24 h"))
        rows = page.locator("#execution-list tbody tr a[id^=x]")
        expect(page).to_have_url(re.compile("phase=failed"))
        expect(rows).not_to_have_count(0)
        mine, address = rows.all_inner_texts(), page.url
        with browser.new_context(base_url=live_server.url) as elsewhere:
            _log_in(elsewhere, live_server, User.objects.create_superuser("other"))
            seen = elsewhere.new_page()
            seen.goto(address)
            assert seen.locator("#execution-list tbody tr a[id^=x]").all_inner_texts() == mine
    assert not complaints_of(page)


def test_no_page_is_wider_than_a_phone(visitor: Visitor) -> None:
    page = visitor.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/")
    expect(page.get_by_role("status").filter(has_text="storms")).to_be_visible()
    links = page.get_by_role("navigation", name="Main").get_by_role("link").all()
    more = [
        "/artifacts/risk/development/fraud-model/",
        "/artifacts/retail/development/sales-daily/",
        "/projects/retail/",
    ]
    for address in [*(str(link.get_attribute("href")) for link in links), *more]:
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), address
    assert not complaints_of(page)
