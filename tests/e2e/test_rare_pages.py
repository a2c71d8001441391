"""Pages that need a cluster, a job of many machines or a contest before they show anything, in a browser: at the width
of a desk and of a phone nothing is wider than the window, too small, or complained about.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from console.accounts.models import User
from scheduler.executors.kubernetes import asking, names
from scheduler.executors.kubernetes.factory import owner
from scheduler.models import TaskExecution
from scheduler.phases import AttemptPhase
from tests.console.pages.cast import World
from tests.console.pages.test_clusters import FORM
from tests.console.pages.test_contests import per_region
from tests.console.pages.test_replicas import job
from tests.e2e.test_accessible import FAULTS
from tests.e2e.test_pages import browser, complaints_of, watched, world
from tests.scheduler.attempts import make_attempt
from tests.scheduler.executors.kubernetes.fake_api import FakeCluster, Json, serving
from tests.scheduler.executors.kubernetes.kubeconfigs import kubeconfig

__all__ = ["browser", "job", "world"]

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


@pytest.fixture(params=[1440, 390])
def page(request: pytest.FixtureRequest, browser: Browser, live_server: LiveServer) -> Iterator[Page]:
    root, client = User.objects.create_superuser("rare"), Client()
    client.force_login(root)
    with browser.new_context(viewport={"width": request.param, "height": 900}, base_url=live_server.url) as context:
        context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])
        yield watched(context.new_page())


def _looks_well(page: Page) -> None:
    page.evaluate("document.querySelectorAll('main details').forEach((each) => { each.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert not page.evaluate(FAULTS)
    assert not complaints_of(page)


def test_a_contest_whose_alias_is_kept_per_region(object_store: str, page: Page) -> None:
    contest, champion, challenger = per_region()
    page.goto(f"/contests/{contest.pk}/")

    winners = page.get_by_role("definition").filter(has=page.get_by_role("link", name=challenger.version))
    expect(winners).to_contain_text("LAX")
    expect(winners.get_by_role("link", name=champion.version)).to_be_visible()
    expect(page.get_by_role("rowheader").filter(has_text="SEA")).to_be_visible()
    _looks_well(page)


def test_the_ranks_of_a_distributed_job(world: World, job: TaskExecution, page: Page) -> None:
    execution = job.node.execution
    page.goto(f"/executions/{execution.project}/{execution.domain}/{execution.name}/nodes/{job.node.node_id}/")

    expect(page.get_by_role("img", name="3 replicas, 2 running, 1 failed")).to_be_visible()
    expect(page.get_by_text("exit code 137").first).to_be_visible()
    _looks_well(page)


def _pod_that_stays(name: str, node: str) -> Json:
    labels = {names.OWNER: owner(), names.CLUSTER: "gpu", names.POOL: "k"}
    marks = {names.PROJECT: "flytesnacks", names.DOMAIN: "development", names.PRIMARY: "main"}
    return {
        "metadata": {"name": name, "namespace": "p-d", "uid": name, "labels": labels, "annotations": marks},
        "spec": {"nodeName": node, "containers": [{"name": "main", "image": "registry.example/team/tasks:2026-11-29"}]},
        "status": {"phase": "Running"},
    }


def test_the_pools_of_a_cluster(object_store: str, page: Page, live_server: LiveServer) -> None:
    asking.forget()
    attempt = make_attempt(executor="kubernetes", cluster="gpu", phase=AttemptPhase.RUNNING, handle="p-d/pool-k-1")
    cluster, client = FakeCluster(), Client()
    client.force_login(User.objects.get(username="rare"))
    for number in (1, 2):
        name = f"pool-k-{number}"
        cluster.pods["p-d", name] = _pod_that_stays(name, f"machine-{number}.example")
    with serving(cluster) as api:
        client.post("/clusters/set/", FORM | {"kubeconfig": kubeconfig(api.host)})
        page.goto("/clusters/")
        page.locator('a[href="/clusters/gpu/pools/"]').click()

        expect(page.get_by_text("1 task in 2 pods")).to_be_visible()
        expect(page.get_by_role("cell", name="machine-2.example")).to_be_visible()
        expect(page.get_by_role("link", name=attempt.node.execution.name)).to_be_visible()
        _looks_well(page)
