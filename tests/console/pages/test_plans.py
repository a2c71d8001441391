from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from django.test import Client
from flyteidl.admin import launch_plan_pb2
from flyteidl.core import literals_pb2, types_pb2

from artifacts.literals import carried
from artifacts.models import Kind
from artifacts.store import store
from audit.models import AuditEvent
from console.accounts.models import Role, RoleBinding, User
from scheduler.models import Execution, ExecutionMode, LaunchPlan, Schedule, Trigger
from tests.console.pages.cast import World, make_version

Browse = Callable[[User], Client]
HTMX = {"HX-Request": "true"}
PLAN = "/launch-plans/demo/development/train_on_dataset/"
LAUNCH = "/launch-plans/demo/development/tests.console.pages.program.train_model/launch/"


def inputs_of(execution: Execution) -> dict[str, literals_pb2.Literal]:
    return dict(literals_pb2.LiteralMap.FromString(store().get(execution.inputs_uri)).literals)


def newest() -> Execution:
    return Execution.objects.order_by("-pk")[0]


def test_it_says_in_words_when_a_plan_starts(world: World, browse: Browse) -> None:
    text = browse(world.admin).get("/launch-plans/").content.decode()

    assert "when a version of ml-dataset is published" in text
    assert "when somebody launches it" in text


def test_it_shows_the_ledger_with_its_latency(world: World, browse: Browse) -> None:
    text = browse(world.admin).get(PLAN).content.decode()

    assert "Fired" in text and "p50 12 ms" in text.replace("13 ms", "12 ms") and "atrains" in text


def test_it_deactivates_and_activates_with_the_trigger(world: World, browse: Browse) -> None:
    client = browse(world.admin)

    client.post(f"{PLAN}state/")
    assert not LaunchPlan.objects.get(name="train_on_dataset").state
    assert not Trigger.objects.get().active

    text = client.post(f"{PLAN}state/", {"version": "v1"}, follow=True).content.decode()
    assert "Version v1 is active" in text
    assert LaunchPlan.objects.get(name="train_on_dataset").state and Trigger.objects.get().active
    assert AuditEvent.objects.filter(verb__startswith="launch_plan.", actor="admin").count() == 2


def test_it_forbids_a_viewer_to_activate(world: World, browse: Browse) -> None:
    assert browse(world.viewer).post(f"{PLAN}state/").status_code == 403


def test_it_resolves_the_query_for_what_was_typed(world: World, browse: Browse) -> None:
    client = browse(world.admin)

    blank = client.get(LAUNCH).content.decode()
    typed = client.get(LAUNCH, {"field": "dataset", "in.region": "SEA"}, headers=HTMX).content.decode()
    nowhere = client.get(LAUNCH, {"field": "dataset", "in.region": "ORD"}, headers=HTMX).content.decode()

    assert "has no value" in blank
    assert f"/artifacts/versions/{world.dataset.pk}/" in typed and "<html" not in typed
    assert "tone-warn" in nowhere


def test_it_says_which_newer_versions_were_passed_over_and_why(world: World, browse: Browse) -> None:
    bad = make_version("ml-dataset", Kind.DATASET, number=2, quarantined_at=datetime.now(timezone.utc))
    make_version("ml-dataset", Kind.DATASET, number=1, partitions={"region": "LAX"})
    asked = {"field": "dataset", "in.region": "SEA"}

    found = browse(world.admin).get(LAUNCH, asked, headers=HTMX).content.decode()
    whole = browse(world.admin).get(LAUNCH, {"in.region": "SEA"}).content.decode()
    override = browse(world.admin).get(LAUNCH, {**asked, "in.dataset.version": str(bad.pk)}, headers=HTMX)

    assert f'name="in.dataset.found" value="{world.dataset.pk}"' in found
    for text in (found, whole):
        assert "2 newer versions passed over" in text and "1 of other partitions, such as region=LAX" in text
        assert f'href="/artifacts/versions/{bad.pk}/">{bad.version}</a>' in text and ": quarantined 20" in text
    assert "passed over" not in override.content.decode(), "the choice is whose it is"


def test_it_tells_nothing_of_where_somebody_may_not_read(world: World, browse: Browse) -> None:
    plan = LaunchPlan.objects.get(name="tests.console.pages.program.train_model")
    closure = launch_plan_pb2.LaunchPlanClosure.FromString(bytes(plan.closure))
    query = closure.expected_inputs.parameters["dataset"].artifact_query
    query.artifact_id.artifact_key.project = "secret"
    LaunchPlan.objects.filter(pk=plan.pk).update(closure=closure.SerializeToString())
    make_version("ml-dataset", Kind.DATASET, project="secret", partitions={"region": "HIDDEN"})
    member = User.objects.create(username="member")
    RoleBinding.objects.create(user=member, role=Role.CONTRIBUTOR, project="demo")

    text = browse(member).get(LAUNCH, {"field": "dataset", "in.region": "SEA"}, headers=HTMX).content.decode()

    assert "it asks in secret/development, where you may not read" in text
    assert "HIDDEN" not in text


def test_it_says_that_nothing_found_is_none_where_the_input_may_be_none(world: World, browse: Browse) -> None:
    plan = LaunchPlan.objects.get(name="tests.console.pages.program.train_model")
    closure = launch_plan_pb2.LaunchPlanClosure.FromString(bytes(plan.closure))
    dataset = closure.expected_inputs.parameters["dataset"]
    dataset.artifact_query.artifact_id.artifact_key.name = "nobody-published"
    for may_be_none in (False, True):
        if may_be_none:
            inner = types_pb2.LiteralType()
            inner.CopyFrom(dataset.var.type)
            none = types_pb2.LiteralType(simple=types_pb2.NONE)
            dataset.var.type.CopyFrom(types_pb2.LiteralType(union_type=types_pb2.UnionType(variants=[inner, none])))
        LaunchPlan.objects.filter(pk=plan.pk).update(closure=closure.SerializeToString())
        text = browse(world.admin).get(LAUNCH, {"field": "dataset", "in.region": "SEA"}, headers=HTMX).content.decode()
        assert "there is no artifact" in text
        assert ("the input is None" in text) is may_be_none


def test_it_launches_with_what_the_query_found(world: World, browse: Browse) -> None:
    response = browse(world.admin).post(LAUNCH, {"in.region": "SEA", "in.depth": "7"})

    execution = newest()
    assert response["Location"] == f"/executions/demo/development/{execution.name}/"
    inputs = inputs_of(execution)
    assert inputs["depth"].scalar.primitive.integer == 7
    assert carried(inputs["dataset"]) == world.dataset.pk
    assert AuditEvent.objects.filter(verb="execution.launch", actor="admin").exists()


def test_it_lets_somebody_override_the_version(world: World, browse: Browse) -> None:
    other = make_version("ml-dataset", Kind.DATASET, number=77)

    browse(world.admin).post(LAUNCH, {"in.region": "SEA", "in.dataset.version": str(other.pk)})

    assert carried(inputs_of(newest())["dataset"]) == other.pk


def test_it_relaunches_with_the_newest_artifacts_and_what_was_changed(world: World, browse: Browse) -> None:
    browser = browse(world.admin)
    browser.post(LAUNCH, {"in.region": "SEA", "in.depth": "7"})
    first = newest()
    later = datetime.now(timezone.utc) + timedelta(minutes=1)
    newer = make_version("ml-dataset", Kind.DATASET, number=78, created_at=later)
    form = f"{LAUNCH}?again={first.name}"

    shown = {field.name: field for field in browser.get(form).context["fields"]}
    assert (shown["region"].text, shown["depth"].text, shown["dataset"].resolved) == ("SEA", "7", newer)
    browser.post(form, {"in.region": "SEA", "in.depth": "8"})

    again = newest()
    inputs = inputs_of(again)
    assert (inputs["depth"].scalar.primitive.integer, carried(inputs["dataset"])) == (8, newer.pk)
    assert (again.mode, again.reference) == (ExecutionMode.RELAUNCH, first)
    assert AuditEvent.objects.filter(verb="execution.relaunch", subject=again.key).exists()
    assert browser.get(f"{LAUNCH}?again=unknown").status_code == 404


def test_it_shows_what_is_wrong_beside_the_input_and_keeps_the_rest(world: World, browse: Browse) -> None:
    before = Execution.objects.count()
    response = browse(world.admin).post(LAUNCH, {"in.region": "SEA", "in.depth": "deep"})

    fields = {field.name: field for field in response.context["fields"]}
    assert fields["depth"].error and fields["depth"].text == "deep"
    assert fields["region"].text == "SEA" and not fields["region"].error
    assert Execution.objects.count() == before


def test_it_wants_required_inputs(world: World, browse: Browse) -> None:
    fields = browse(world.admin).post(LAUNCH, {"in.depth": "1"}).context["fields"]

    assert next(field for field in fields if field.name == "region").error == "a value is needed"


def test_it_shows_when_a_schedule_fired_and_when_it_will(world: World, browse: Browse) -> None:
    plan = LaunchPlan.objects.get(name="train_on_dataset")
    at = datetime(2026, 5, 17, 7, 0, tzinfo=timezone.utc)
    schedule = Schedule.objects.create(
        launch_plan=plan, kind="cron", expression="CRON_TZ=Europe/Berlin 0 9 * * *", active=True,
        last_fire_at=at, next_fire_at=at + timedelta(days=1),
    )  # fmt: skip
    schedule.fires.create(fire_at=at, error="region does not fit")

    page = browse(world.admin).get(PLAN).content.decode()

    assert "at 09:00, every day, by the clocks of Europe/Berlin" in page
    assert "2026-05-17" in page and "2026-05-18" in page
    assert "Not launched: region does not fit" in page


def test_a_refused_input_gets_the_focus_and_names_its_message(world: World, browse: Browse) -> None:
    text = browse(world.admin).post(LAUNCH, {"in.depth": "deep"}).content.decode()

    assert 'value="deep"' in text and 'aria-describedby="err-depth" autofocus' in text
    assert '<p class="error" id="err-depth" role="alert">' in text
