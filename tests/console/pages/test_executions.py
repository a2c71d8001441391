from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import escape

from audit.models import AuditEvent
from console.accounts.models import User
from console.pages import executions_context, nodes
from console.pages.failures import describe_error
from console.rpc.convert.executions import execution as to_flyte
from scheduler.models import Channel, Execution, ExecutionMode, NodeKind, PhaseEvent
from scheduler.phases import AttemptPhase, ExecutionPhase, NodePhase
from tests.console.pages.cast import World, make_attempt, make_node
from tests.scheduler.notifications.rows import make_notification

Browse = Callable[[User], Client]
HTMX = {"HX-Request": "true"}
RUN = "/executions/demo/development/{}/"


def test_it_filters_by_phase_workflow_and_plan(world: World, browse: Browse) -> None:
    client = browse(world.admin)

    def names(query: str) -> set[str]:
        return {row.name for row in client.get(f"/executions/{query}").context["page"].rows}

    assert names(f"?phase={ExecutionPhase.FAILED.value}") == {"afailed"}
    assert names("?plan=train_on_dataset") == {"atrains", "afailed"}
    assert names(f"?workflow={world.makes.workflow.name}") == {"amakes"}
    assert names("?q=eval") == {"aevaluates"}
    assert names("?project=elsewhere") == set()


def test_it_polls_while_an_execution_runs_and_stops_at_its_end(world: World, browse: Browse) -> None:
    client = browse(world.admin)

    running = client.get(RUN.format("aevaluates"), headers=HTMX)
    ended = client.get(RUN.format("atrains"), headers=HTMX)

    assert running.status_code == 200 and "hx-trigger" in running.content.decode()
    assert ended.status_code == 286 and "hx-trigger" not in ended.content.decode()


def test_lists_say_why_it_failed(world: World, browse: Browse) -> None:
    client = browse(world.viewer)
    assert world.failed.launch_plan is not None and world.failed.error is not None
    said = describe_error(world.failed.error)
    assert said is not None
    plan, workflow = world.failed.launch_plan.name, world.failed.workflow.name
    for address in (
        "/executions/",
        f"/launch-plans/demo/development/{plan}/",
        f"/workflows/demo/development/{workflow}/",
    ):
        assert f'title="{escape(said.summary)}"' in client.get(address).content.decode(), address


def test_it_shows_what_failed_with_the_users_traceback(world: World, browse: Browse) -> None:
    text = browse(world.admin).get(RUN.format("afailed")).content.decode()

    assert "depth must be positive" in text and "train.py" in text and "user code" in text


def test_it_says_which_artifact_started_it(world: World, browse: Browse) -> None:
    text = browse(world.admin).get(RUN.format("atrains")).content.decode()

    assert f"/artifacts/versions/{world.dataset.pk}/" in text


def test_it_links_artifacts_in_inputs_and_outputs(world: World, browse: Browse) -> None:
    text = browse(world.admin).get(RUN.format("atrains") + "data/").content.decode()

    assert f"/artifacts/versions/{world.dataset.pk}/" in text and f"/artifacts/versions/{world.model.pk}/" in text
    assert "SEA" in text


def test_it_serves_decks_in_a_sandbox_of_their_own(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    node = RUN.format("aevaluates") + "nodes/n0/"

    assert 'sandbox="allow-scripts"' in client.get(node).content.decode()
    deck = client.get(node + "deck/")
    assert deck["Content-Security-Policy"].startswith("sandbox allow-scripts; default-src 'none'")
    assert b"Evaluation" in deck.content


def test_it_sends_what_a_log_gained(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    path = RUN.format("atrains") + f"nodes/n0/logs/{world.attempt.pk}/"

    assert "epoch 2 &lt;done&gt;" in client.get(path).content.decode()
    rest = client.get(f"{path}?offset=8", headers=HTMX).content.decode()
    assert "epoch 2" in rest and "epoch 1" not in rest and "hx-get" not in rest


def test_it_aborts_and_writes_down_who_did(world: World, browse: Browse) -> None:
    response = browse(world.admin).post(RUN.format("aevaluates") + "abort/", {"cause": "wrong data"})

    assert response.status_code == 302
    world.evaluates.refresh_from_db()
    assert world.evaluates.abort_cause == "wrong data" and world.evaluates.aborted_by == "admin"
    assert AuditEvent.objects.filter(verb="execution.abort", actor="admin").exists()


def test_it_refuses_to_abort_what_ended_with_a_message(world: World, browse: Browse) -> None:
    response = browse(world.admin).post(RUN.format("atrains") + "abort/", {"cause": "late"}, follow=True)

    assert "has ended already" in response.content.decode()
    assert not AuditEvent.objects.filter(verb="execution.abort").exists()


def test_it_asks_why_and_aborts_nothing_without_an_answer(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    assert (
        '<input class="input" id="cause" name="cause" required' in client.get(RUN.format("aevaluates")).content.decode()
    )
    for cause in ("", "  ", "x" * 501):
        said = client.post(RUN.format("aevaluates") + "abort/", {"cause": cause}, follow=True).content.decode()
        assert "say why it is aborted" in said or "at most 500 characters" in said

    world.evaluates.refresh_from_db()
    assert world.evaluates.phase == ExecutionPhase.RUNNING
    assert not AuditEvent.objects.filter(verb="execution.abort").exists()


def test_the_cause_is_shown_and_told_to_flytekit(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    client.post(RUN.format("aevaluates") + "abort/", {"cause": " wrong data "})
    world.evaluates.refresh_from_db()

    assert "Aborted by admin: wrong data" in client.get(RUN.format("aevaluates")).content.decode()
    assert to_flyte(world.evaluates, may_read=lambda *_: True).closure.abort_metadata.cause == "wrong data"


def test_it_forbids_a_viewer_to_abort(world: World, browse: Browse) -> None:
    response = browse(world.viewer).post(RUN.format("aevaluates") + "abort/")

    assert response.status_code == 403 and b"may not launch" in response.content


def test_it_relaunches_with_the_same_inputs(world: World, browse: Browse) -> None:
    response = browse(world.admin).post(RUN.format("atrains") + "relaunch/", follow=True)

    again = Execution.objects.get(reference=world.trains)
    assert response.redirect_chain[-1][0] == RUN.format(again.name)
    assert "relaunch of" in response.content.decode()


def test_it_recovers_what_failed_and_nothing_else(world: World, browse: Browse) -> None:
    Execution.objects.filter(pk=world.failed.pk).update(inputs_uri=world.trains.inputs_uri)
    client = browse(world.admin)
    assert "Recover" in client.get(RUN.format("afailed")).content.decode()
    assert "Recover" not in client.get(RUN.format("atrains")).content.decode()

    response = client.post(RUN.format("afailed") + "recover/", follow=True)

    again = Execution.objects.get(reference=world.failed)
    assert again.mode == ExecutionMode.RECOVERED
    assert response.redirect_chain[-1][0] == RUN.format(again.name)
    assert "Recovering: what succeeded is taken over" in response.content.decode()
    event = AuditEvent.objects.get(verb="execution.recover")
    assert (event.actor, event.subject, event.detail) == ("admin", again.key, {"source": world.failed.key})

    refused = client.post(RUN.format("aevaluates") + "recover/", follow=True)
    assert refused.redirect_chain[-1][0] == RUN.format("aevaluates") and "tone-bad" in refused.content.decode()
    assert browse(world.viewer).post(RUN.format("afailed") + "recover/").status_code == 403
    assert Execution.objects.filter(reference__isnull=False).count() == 1


def test_it_pages_the_nodes_of_a_large_execution(world: World, browse: Browse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executions_context, "NODES_SHOWN", 3)
    run = Execution.objects.get(name="aevaluates")
    top = make_node(run, "top", NodePhase.RUNNING, kind=NodeKind.WORKFLOW)
    for number in range(5):
        make_node(run, f"top-0-x{number}", NodePhase.SUCCEEDED, spec_node_id=f"x{number}", parent=top)
    client, address, seen = browse(world.admin), RUN.format("aevaluates"), []
    while address:
        response = client.get(address)
        seen += [row.node.node_id for row in response.context["nodes"]]
        depths = {row.node.node_id: row.depth for row in response.context["nodes"]}
        assert all(depth == node_id.startswith("top-") for node_id, depth in depths.items())
        more = response.context["more_nodes"]
        address = f"{RUN.format('aevaluates')}?after={more}" if more else ""
    assert len(seen) == len(set(seen)) == run.nodes.exclude(kind__in=("start", "end")).count()


def test_it_pages_the_items_of_a_map_and_filters_them_by_phase(
    world: World, browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "ATTEMPTS_SHOWN", 4)
    run = Execution.objects.get(name="aevaluates")
    node = make_node(run, "m", NodePhase.RUNNING, kind=NodeKind.ARRAY)
    for index in range(10):
        phase = AttemptPhase.FAILED if index == 7 else AttemptPhase.SUCCEEDED
        make_attempt(node, phase, index=index, name=f"m-{index}")
    client, address, seen = browse(world.admin), RUN.format("aevaluates") + "nodes/m/", []
    with CaptureQueriesContext(connection) as few:
        client.get(f"{address}?item=8")
    with CaptureQueriesContext(connection) as many:
        client.get(address)
    assert len(many) == len(few)
    more = "?"
    while more:
        page = client.get(address + more).context["attempts_page"]
        seen += [row.attempt.index for row in page.rows]
        more = page.more
    assert seen == list(range(10))
    failed = client.get(f"{address}?phase={AttemptPhase.FAILED.value}").context["attempts_page"]
    assert [row.attempt.index for row in failed.rows] == [7]
    assert {phase: count for phase, _, count in failed.phases} == {AttemptPhase.FAILED: 1, AttemptPhase.SUCCEEDED: 9}


def test_it_shows_who_was_told_and_who_could_not_be(world: World, browse: Browse) -> None:
    failed = Execution.objects.get(name="afailed")
    mail: dict[str, Any] = {"channel": Channel.EMAIL, "address": "ann@example.org"}
    make_notification(failed, sent_at=timezone.now(), attempts=1, **mail)
    make_notification(failed, error="503 <b>later", attempts=2)

    text = browse(world.admin).get(RUN.format("afailed") + "events/").content.decode()

    assert "ann@example.org" in text and "hooks.example.org" in text and "secret-path" not in text
    assert "tried 2 times" in text and "503 &lt;b&gt;later" in text


def test_it_says_which_item_of_a_map_an_event_is_about(world: World, browse: Browse) -> None:
    attempt = make_attempt(world.attempt.node, AttemptPhase.FAILED, index=7, name="atrains-n0-0-7")
    PhaseEvent.objects.create(
        execution_id=world.trains.pk,
        machine="attempt",
        object_id=attempt.pk,
        from_phase=AttemptPhase.RUNNING,
        to_phase=AttemptPhase.FAILED,
        at=world.now,
    )

    assert "attempt 1 of n0, item 7" in browse(world.admin).get(RUN.format("atrains") + "events/").content.decode()


def test_each_tab_has_a_title_of_its_own(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    version = f"/artifacts/versions/{world.model.pk}/"
    runs = [RUN.format("atrains") + tab for tab in ("", "graph/", "data/", "events/")]

    for addresses in (runs, [version + tab for tab in ("", "object/", "card/", "lineage/", "triggers/")]):
        pages = [client.get(address).content.decode() for address in addresses]
        titles = {text.partition("<title>")[2].partition("</title>")[0] for text in pages}
        assert len(titles) == len(addresses), titles
