"""All logs of an execution in one stream: pages, download and REST; its decks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

import pytest
from django.test import Client

from artifacts.exceptions import InvalidArgument
from artifacts.store import store
from console import log_lines
from console.accounts.models import User
from console.log_lines import Asked, stream
from console.logs import LogPart
from scheduler.models import TaskExecution
from scheduler.phases import AttemptPhase, NodePhase
from tests.console.pages.cast import World, make_attempt, make_node

Browse = Callable[[User], Client]
RUN = "/executions/demo/development/amakes/"
DAY = datetime(2026, 3, 4, 5, 0, 0, tzinfo=timezone.utc)


def _log(world: World, node: str, *lines: str, started: datetime = DAY, **over: object) -> TaskExecution:
    uri = store().join(store().root, "logs", "demo", "development", "amakes", f"{node}.log")
    store().put(uri, ("\n".join(lines) + "\n").encode())
    row = make_node(world.makes, node, NodePhase.SUCCEEDED)
    return make_attempt(row, AttemptPhase.SUCCEEDED, log_uri=uri, **{"started_at": started, **over})


@pytest.fixture
def logs(world: World) -> World:
    _log(
        world,
        "early",
        "2026-03-04 05:00:01,250 INFO reading",
        "2026-03-04T05:00:05Z WARNING slow disk",
        "Traceback (most recent call last):",
        "  File 'x.py', line 1",
    )
    _log(world, "late", "2026-03-04 07:00:03.5+02:00 DEBUG opened", "plain print", "[2026-03-04 05:00:04] ERROR gone")
    return world


def _texts(world: World, **asked: str) -> list[str]:
    return [f"{line.node}: {line.text}" for line in stream(world.makes, Asked(**asked)).lines]  # type: ignore[arg-type]


def test_lines_of_all_nodes_stand_in_order_of_time(logs: World) -> None:
    assert [text.split()[-1] for text in _texts(logs)] == ["reading", "opened", "print", "gone", "disk", "last):", "1"]


def test_a_line_without_a_level_has_that_of_the_line_before_it_and_a_traceback_is_an_error(logs: World) -> None:
    assert _texts(logs, level="error") == [
        "late: [2026-03-04 05:00:04] ERROR gone",
        "early: Traceback (most recent call last):",
        "early:   File 'x.py', line 1",
    ]
    assert len(_texts(logs, level="warning")) == 4
    assert len(_texts(logs, level="info")) == 5  # `print` behind a DEBUG line belongs to it


def test_what_says_no_level_at_all_counts_as_info(world: World) -> None:
    _log(world, "quiet", "hello")
    assert _texts(world, level="info", node="quiet") == ["quiet: hello"]
    assert _texts(world, level="warning", node="quiet") == []


def test_text_is_looked_for_without_case_and_in_one_node_alone(logs: World) -> None:
    assert _texts(logs, text="SLOW") == ["early: 2026-03-04T05:00:05Z WARNING slow disk"]
    assert {text.split(":")[0] for text in _texts(logs, node="late")} == {"late"}


def test_a_level_that_is_none_is_refused(world: World, browse: Browse) -> None:
    with pytest.raises(InvalidArgument, match="debug, info, warning, error"):
        Asked(level="loud")
    assert browse(world.admin).get(RUN + "logs/?level=loud").status_code == 400


def test_clocks_that_are_none_and_times_that_go_back_do_no_harm(world: World) -> None:
    _log(world, "odd", "2026-99-99 99:99:99 INFO x", "2026-03-04 05:10:00 INFO y", "2026-03-04 05:09:00 INFO z")
    assert [text[-1] for text in _texts(world, node="odd")] == ["x", "y", "z"]


def test_only_the_end_of_a_long_log_is_read_and_that_is_said(
    world: World, browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_lines, "TAIL", 30)
    _log(world, "long", *(f"line {number}" for number in range(50)))
    found = stream(world.makes, Asked())
    assert [line.text for line in found.lines] == ["line 47", "line 48", "line 49"]
    assert found.more
    assert "Earlier lines are left out" in browse(world.viewer).get(RUN + "logs/").content.decode()


def test_failed_attempts_come_first_where_there_are_too_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_lines, "ATTEMPTS", 1)
    bad = _log(world, "bad", "broken")
    TaskExecution.objects.filter(pk=bad.pk).update(phase=AttemptPhase.FAILED)
    _log(world, "good", "fine")
    found = stream(world.makes, Asked())
    assert [line.text for line in found.lines] == ["broken"]
    assert found.left_out == 1  # the one that the world has wrote none


def test_a_failure_at_the_start_of_a_long_map_is_shown_and_all_are_downloaded(
    world: World, browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = _log(world, "mapped", "broken")
    TaskExecution.objects.filter(pk=bad.pk).update(phase=AttemptPhase.FAILED, index=0)
    made = [
        TaskExecution(
            node=bad.node, execution_id=bad.execution_id, attempt=0, index=index, phase=AttemptPhase.SUCCEEDED
        )
        for index in range(1, 5_100)
    ]
    for row in made:
        row.name, row.log_uri, row.command = f"m{row.index}", bad.log_uri, {}
        row.created_at = row.updated_at = DAY
    TaskExecution.objects.bulk_create(made)
    found = stream(world.makes, Asked(node="mapped"))
    assert bad.pk in {line.attempt for line in found.lines}
    assert found.left_out == 5_100 - log_lines.ATTEMPTS
    assert log_lines.nodes_with_logs(world.makes)[-1] == ("mapped", 5_100)
    monkeypatch.setattr(log_lines, "read_log_of", lambda row, offset: LogPart(b"x", 1, 1))
    response = browse(world.viewer).get(RUN + "logs/download/?node=mapped")
    assert b"".join(response.streaming_content).count(b"=====") == 5_100  # type: ignore[attr-defined]


def test_a_log_that_is_gone_keeps_none_of_the_others(logs: World) -> None:
    _log(logs, "gone", "x")
    TaskExecution.objects.filter(node__node_id="gone").update(log_uri=store().join(store().root, "logs", "nothing"))
    assert len(_texts(logs)) == 7


def test_the_page_shows_levels_links_and_what_can_be_chosen(logs: World, browse: Browse) -> None:
    page = browse(logs.viewer).get(RUN + "logs/?q=slow").content.decode()
    assert "slow disk" in page and "reading" not in page
    assert 'class="log-line tone-warn"' in page
    assert '<option value="late">' in page
    assert 'class="log log-lines"' in page
    assert 'class="log log-lines log-long"' in browse(logs.viewer).get(RUN + "logs/?wrap=no").content.decode()
    assert "05:00:05" not in browse(logs.viewer).get(RUN + "logs/?times=no&level=error").content.decode()


def test_lines_are_shown_as_they_are_and_never_as_html(world: World, browse: Browse) -> None:
    _log(world, "evil", "<script>alert(1)</script>")
    page = browse(world.viewer).get(RUN + "logs/").content.decode()
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page


def test_the_download_has_every_log_whole(logs: World, browse: Browse) -> None:
    response = browse(logs.viewer).get(RUN + "logs/download/")
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    assert "===== early, attempt 1\n2026-03-04 05:00:01,250 INFO reading\n" in text
    assert "plain print" in text
    assert response["Content-Disposition"] == 'attachment; filename="amakes.log"'


@pytest.mark.parametrize("tab", ["logs/", "logs/download/", "decks/", "resources/"])
def test_who_may_not_read_there_sees_nothing_of_it(world: World, browse: Browse, tab: str) -> None:
    assert browse(world.outsider).get(RUN + tab).status_code == 404


def test_decks_of_all_nodes_are_on_one_page(world: World, browse: Browse) -> None:
    page = browse(world.viewer).get("/executions/demo/development/aevaluates/decks/").content.decode()
    assert "examine" in page
    assert 'src="/executions/demo/development/aevaluates/nodes/n0/deck/"' in page
    assert "No decks" in browse(world.viewer).get(RUN + "decks/").content.decode()


def test_rest_gives_the_same_lines(logs: World, browse: Browse) -> None:
    address = "/api/v1/executions/demo/development/amakes/logs"
    found = browse(logs.viewer).get(f"{address}?level=warning&limit=2").json()
    assert [(line["node"], line["level"]) for line in found["results"]] == [("early", "error")] * 2
    assert found["more"] is True
    assert browse(logs.viewer).get(f"{address}?level=loud").status_code == 400
    assert browse(logs.outsider).get(address).status_code == 404


def test_a_log_that_grows_is_polled_for(world: World, browse: Browse) -> None:
    page = browse(world.viewer).get("/executions/demo/development/aevaluates/logs/").content.decode()
    assert 'hx-trigger="every 4s"' in page
