"""What a form shows and nobody touches launches as it was, to the last bit; what is touched is what was typed."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from django.http import QueryDict
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from flyteidl.admin import execution_pb2, launch_plan_pb2
from flyteidl.core import identifier_pb2, interface_pb2, literals_pb2, types_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from artifacts import queries
from artifacts.literals import carried, from_json, to_json
from artifacts.models import Artifact, ArtifactVersion, Kind
from artifacts.store import store
from artifacts.wanted import Wanted
from console.accounts.models import User
from console.pages.launch_form import LaunchForm
from scheduler.actions.launch import LaunchRequest, launch
from scheduler.actions.launchable import launchable
from scheduler.models import Execution, Gate, GateKind, LaunchPlan
from tests.artifacts.literal_trees import Literal, Type, same, typed_literals
from tests.console.pages import values_program
from tests.console.pages.browser import Form, launch_form
from tests.console.pages.cast import DOMAIN, PROJECT, World, make_version
from tests.flyte import register_module

Browse = Callable[[User], Client]
PROGRAM = "tests.console.pages.values_program"
PLAN = f"/launch-plans/{PROJECT}/{DOMAIN}/{PROGRAM}.untouched/launch/"
TRAIN = f"/launch-plans/{PROJECT}/{DOMAIN}/tests.console.pages.program.train_model/launch/"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def program(world: World) -> World:
    register_module(values_program, project=PROJECT, domain=DOMAIN)
    return world


def plan_of(defaults: dict[str, tuple[Type, Literal]]) -> LaunchPlan:
    """A launch plan, not stored, whose inputs have these defaults."""
    expected = interface_pb2.ParameterMap(
        parameters={
            name: interface_pb2.Parameter(var=interface_pb2.Variable(type=kind), default=default)
            for name, (kind, default) in defaults.items()
        }
    )
    closure = launch_plan_pb2.LaunchPlanClosure(expected_inputs=expected)
    return LaunchPlan(
        project=PROJECT, domain=DOMAIN, name="plan", version="v1", spec=b"", closure=closure.SerializeToString()
    )


def form_of(plan: LaunchPlan, earlier: dict[str, Literal] | None = None) -> Form:
    """As a browser has it."""
    shown = LaunchForm(RequestFactory().get("/"), plan, {}, earlier)
    fields = "".join(render_to_string("plans/_typed_field.html", {"field": field}) for field in shown.fields())
    return launch_form(f"<form>{fields}</form>")


def sent(plan: LaunchPlan, body: str, earlier: dict[str, Literal] | None = None) -> LaunchForm:
    return LaunchForm(RequestFactory().post("/", body, content_type=FORM), plan, QueryDict(body), earlier)


@settings(max_examples=250, deadline=None)
@given(st.lists(typed_literals(), min_size=1, max_size=3))
def test_every_default_comes_back_as_nothing_given(pairs: list[tuple[Type, Literal]]) -> None:
    plan = plan_of({f"x{at}": pair for at, pair in enumerate(pairs)})

    back = sent(plan, form_of(plan).body())

    assert not back.values and not back.errors


@settings(max_examples=250, deadline=None)
@given(typed_literals(), st.data())
def test_every_earlier_value_comes_back_as_nothing_given(pair: tuple[Type, Literal], data: st.DataObject) -> None:
    """Whatever the default is, also where there is none."""
    from tests.artifacts.literal_trees import literals_of

    plan = plan_of({"x": (pair[0], data.draw(literals_of(pair[0])))})
    earlier = {"x": pair[1]}

    back = sent(plan, form_of(plan, earlier).body(), earlier)

    assert not back.values and not back.errors


@settings(max_examples=150, deadline=None)
@given(typed_literals(), typed_literals())
def test_what_is_touched_does_not_change_what_is_beside_it(one: Any, other: Any) -> None:
    plan = plan_of(
        {
            "x": one,
            "y": other,
            "z": (Type(simple=types_pb2.INTEGER), from_json(1, Type(simple=types_pb2.INTEGER), name="z")),
        }
    )

    back = sent(plan, form_of(plan).body(**{"in.z": "2"}))

    assert not back.errors
    assert list(back.values) == ["z"] and back.values["z"].scalar.primitive.integer == 2


def stored(execution: Execution) -> bytes:
    return store().get(execution.inputs_uri)


def newest() -> Execution:
    return Execution.objects.order_by("-pk")[0]


def plain_launch(world: World, name: str) -> Execution:
    plan = LaunchPlan.objects.get(name=name)
    identifier = identifier_pb2.Identifier(
        resource_type=identifier_pb2.LAUNCH_PLAN,
        project=plan.project,
        domain=plan.domain,
        name=plan.name,
        version=plan.version,
    )
    request = LaunchRequest(PROJECT, DOMAIN, "", execution_pb2.ExecutionSpec(launch_plan=identifier))
    return launch(request, actor="admin")


def test_the_form_launches_with_the_defaults_that_it_shows(program: World, browse: Browse) -> None:
    expected = stored(plain_launch(program, f"{PROGRAM}.untouched"))
    browser = browse(program.admin)

    answer = browser.post(PLAN, launch_form(browser.get(PLAN).content.decode()).body(), content_type=FORM)

    assert answer.status_code == 302, answer.content.decode()
    assert stored(newest()) == expected


def test_a_relaunch_has_the_inputs_that_it_shows(program: World, browse: Browse) -> None:
    first = plain_launch(program, f"{PROGRAM}.untouched")
    literals = literals_pb2.LiteralMap.FromString(stored(first))
    for name, literal in literals.literals.items():  # what only the literal says, no text
        literal.hash = f"hash of {name}"
    literals.literals["fine"].scalar.primitive.float_value = math.nan
    literals.literals["lines"].scalar.primitive.string_value = ""
    store().put(first.inputs_uri, literals.SerializeToString(deterministic=True))
    browser = browse(program.admin)
    url = f"{PLAN}?version=v1&again={first.name}"

    answer = browser.post(url, launch_form(browser.get(url).content.decode()).body(), content_type=FORM)

    assert answer.status_code == 302, answer.content.decode()
    assert newest().reference == first
    assert stored(newest()) == stored(first)


@pytest.mark.django_db(transaction=False)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=st.lists(typed_literals(), min_size=1, max_size=6))
def test_through_the_whole_page_every_default_stays_what_it_is(
    program: World, browse: Browse, pairs: list[tuple[Type, Literal]]
) -> None:
    plan = LaunchPlan.objects.get(name=f"{PROGRAM}.untouched")
    closure = plan_of({f"x{at}": pair for at, pair in enumerate(pairs)}).closure
    LaunchPlan.objects.filter(pk=plan.pk).update(closure=closure, spec=b"")
    launchable.cache_clear()
    browser = browse(program.admin)

    answer = browser.post(PLAN, launch_form(browser.get(PLAN).content.decode()).body(), content_type=FORM)

    assert answer.status_code == 302, answer.content.decode()
    started = literals_pb2.LiteralMap.FromString(stored(newest())).literals
    launchable.cache_clear()
    assert [same(started[f"x{at}"]) for at in range(len(pairs))] == [same(literal) for _, literal in pairs]


def test_it_launches_the_version_that_it_showed(program: World, browse: Browse) -> None:
    browser = browse(program.admin)
    page = browser.get(PLAN).content.decode()
    register_module(values_program, project=PROJECT, domain=DOMAIN, version="v2")
    LaunchPlan.objects.filter(name=f"{PROGRAM}.untouched", version="v2").update(state=LaunchPlan.State.ACTIVE)

    browser.post(PLAN, launch_form(page).body(), content_type=FORM)

    plan = newest().launch_plan
    assert plan is not None and plan.version == "v1"


TYPED = [
    ("number", "008", "1", "008"),  # stays a text, as it was
    ("number", "8", "0", 8),
    ("number", "8", "", 8),
    ("word", "", "0", ""),
    ("word", "", "1", None),
    ("word", "true", "0", "true"),
    ("nothing", "null", "0", "null"),
    ("nothing", "now", "", "now"),
    ("day", "2026-01-01", "0", "2026-01-01T00:00:00Z"),
    ("padded", "  other ", None, "  other "),
    ("lines", "one\ntwo\n", None, "one\ntwo\n"),
    ("empty", " ", None, " "),
    ("padded", "", None, ""),
    ("maybe", "5", None, 5),
    ("metrics", '{"loss": NaN, "n": 2}', None, {"loss": {"$float": "NaN"}, "n": 2}),
    ("mixed", '["7", 8]', None, ["7", 8]),
    ("named", '{"a": {"type": "str", "value": "2026-02-01"}}', None, {"a": {"type": "str", "value": "2026-02-01"}}),
]


@pytest.mark.parametrize(("name", "text", "variant", "expected"), TYPED)
def test_what_was_typed_is_what_is_launched(
    program: World, browse: Browse, name: str, text: str, variant: str | None, expected: object
) -> None:
    browser = browse(program.admin)
    form = launch_form(browser.get(PLAN).content.decode())
    changes = {f"in.{name}": text} | ({f"in.{name}.as": variant} if variant is not None else {})

    answer = browser.post(PLAN, form.body(**changes), content_type=FORM)

    assert answer.status_code == 302, answer.content.decode()
    given_type = launchable(newest().launch_plan_id or 0).expected.parameters[name].var.type
    found = literals_pb2.LiteralMap.FromString(stored(newest())).literals[name]
    assert to_json(found, given_type, exact=True) == expected


def test_a_number_that_was_taken_out_is_asked_for(program: World, browse: Browse) -> None:
    """It must not become the default again without a word."""
    browser = browse(program.admin)
    form = launch_form(browser.get(PLAN).content.decode())

    answer = browser.post(PLAN, form.body(**{"in.huge": "", "in.word": "x", "in.word.as": "1"}), content_type=FORM)

    errors = {field.name: field.error for field in answer.context["fields"] if field.error}
    assert errors["huge"] == "a value is needed"
    assert "none has no value" in errors["word"]
    again = launch_form(answer.content.decode()).values()
    assert (again["in.huge"], again["in.word"], again["in.word.as"]) == ("", "x", "1")
    assert again["in.lines"] == form.values()["in.lines"]


def test_the_form_shows_of_which_type_a_text_is(program: World, browse: Browse) -> None:
    fields = {field.name: field for field in browse(program.admin).get(PLAN).context["fields"]}

    assert [(each.number, each.name) for each in fields["number"].variants] == [("0", "int"), ("1", "str")]
    assert (fields["number"].variant, fields["word"].variant, fields["nothing"].variant) == ("1", "0", "")
    assert not fields["maybe"].variants and not fields["padded"].variants
    assert fields["metrics"].text == '{"loss": NaN, "worst": -Infinity, "n": 1, "share": 1.0}'


# Found by a query


def test_it_launches_with_the_artifact_that_it_showed(world: World, browse: Browse) -> None:
    browser = browse(world.admin)
    form = launch_form(browser.get(TRAIN, {"in.region": "SEA"}).content.decode())
    later = datetime.now(timezone.utc) + timedelta(minutes=1)
    make_version("ml-dataset", Kind.DATASET, number=80, created_at=later)

    browser.post(TRAIN, form.body(), content_type=FORM)

    execution = newest()
    assert carried(literals_pb2.LiteralMap.FromString(stored(execution)).literals["dataset"]) == world.dataset.pk
    assert execution.resolution["dataset"]["via"] == "query"
    assert execution.resolution["dataset"]["explanation"] == "as the form showed it; e80.n0.0.o0 came since"


@pytest.mark.parametrize("newer", [True, False])
def test_a_query_is_asked_once(world: World, browse: Browse, monkeypatch: pytest.MonkeyPatch, newer: bool) -> None:
    """Two answers of two moments could be two versions."""
    browser = browse(world.admin)
    asked: list[Wanted] = []
    form = launch_form(browser.get(TRAIN, {"in.region": "SEA"}).content.decode())
    if newer:
        make_version(
            "ml-dataset", Kind.DATASET, number=83, created_at=datetime.now(timezone.utc) + timedelta(minutes=1)
        )
    lookup = queries._lookup

    def ask(artifact: Artifact, wanted: Wanted) -> ArtifactVersion | None:
        asked.append(wanted)
        return lookup(artifact, wanted)

    monkeypatch.setattr(queries, "_lookup", ask)

    assert browser.post(TRAIN, form.body(), content_type=FORM).status_code == 302

    assert carried(literals_pb2.LiteralMap.FromString(stored(newest())).literals["dataset"]) == world.dataset.pk
    assert len(asked) == 1
    asked.clear()
    browser.post(TRAIN, form.body(**{"in.depth": "many"}), content_type=FORM)
    assert len(asked) == 1


def test_it_asks_the_query_again_where_its_inputs_were_changed(world: World, browse: Browse) -> None:
    other = make_version("ml-dataset", Kind.DATASET, number=81, partitions={"region": "ORD"})
    browser = browse(world.admin)
    form = launch_form(browser.get(TRAIN, {"in.region": "SEA"}).content.decode())

    browser.post(TRAIN, form.body(**{"in.region": "ORD"}), content_type=FORM)

    assert carried(literals_pb2.LiteralMap.FromString(stored(newest())).literals["dataset"]) == other.pk


def test_what_was_shown_and_removed_since_is_not_replaced_silently(world: World, browse: Browse) -> None:
    browser = browse(world.admin)
    form = launch_form(browser.get(TRAIN, {"in.region": "SEA"}).content.decode())
    before = Execution.objects.count()
    make_version("ml-dataset", Kind.DATASET, number=82)
    type(world.dataset).objects.filter(pk=world.dataset.pk).update(removed_at=world.now)

    answer = browser.post(TRAIN, form.body(), content_type=FORM)

    field = next(field for field in answer.context["fields"] if field.name == "dataset")
    assert "was removed" in field.error and Execution.objects.count() == before


# At a gate


@pytest.fixture
def gates(program: World) -> dict[str, Gate]:
    text, choice = Type(simple=types_pb2.STRING), _int_or_text()
    return {
        name: Gate.objects.create(
            execution=program.evaluates,
            signal_id=name,
            kind=GateKind.SIGNAL,
            literal_type=kind.SerializeToString(),
            waiting_since=program.now,
            created_at=program.now,
        )
        for name, kind in (("note", text), ("choice", choice))
    }


def _int_or_text() -> Type:
    variants = [Type(simple=types_pb2.INTEGER), Type(simple=types_pb2.STRING)]
    return Type(union_type=types_pb2.UnionType(variants=variants))


def _give(client: Client, gate: Gate, **changes: str) -> Literal:
    from tests.console.pages.browser import forms

    page = client.get(f"/approvals/{gate.pk}/").content.decode()
    form = next(each for each in forms(page) if "value" in each.values())
    client.post(f"/approvals/{gate.pk}/signal/", form.body(**changes), content_type=FORM)
    return Literal.FromString(bytes(Gate.objects.get(pk=gate.pk).value or b""))


@pytest.mark.parametrize("text", ["one\ntwo", "\n begins and ends with blanks \n", "a\r\nb\rc", ""])
def test_a_gate_gets_the_text_that_was_typed(gates: dict[str, Gate], world: World, browse: Browse, text: str) -> None:
    given_text = _give(browse(world.admin), gates["note"], value=text).scalar.primitive.string_value
    assert given_text == text.replace("\r\n", "\n").replace("\r", "\n")


def test_a_gate_asks_of_which_type_a_text_is(gates: dict[str, Gate], world: World, browse: Browse) -> None:
    literal = _give(browse(world.admin), gates["choice"], value="007", **{"value.as": "1"})
    assert literal.scalar.union.value.scalar.primitive.string_value == "007"


def test_a_remark_has_the_line_ends_that_were_typed(world: World, browse: Browse) -> None:
    browse(world.admin).post(f"/approvals/{world.gate.pk}/decide/", {"decision": "approve", "comment": "a\r\nb\r\n"})
    assert Gate.objects.get(pk=world.gate.pk).comment == "a\nb"


def test_what_is_too_long_to_be_edited_stays_what_it_is() -> None:
    listed = Type(collection_type=Type(simple=types_pb2.INTEGER))
    long = from_json(list(range(100_000)), listed, name="x")
    plan = plan_of({"x": (listed, long), "y": (Type(simple=types_pb2.STRING), Literal())})
    form = form_of(plan)

    assert "in.x" not in form.values() and "in.y" in form.values()
    back = sent(plan, form.body())
    assert not back.values and not back.errors


def test_blanks_are_a_text(program: World, browse: Browse) -> None:
    """Also where there is no default."""
    browse(program.admin).post(TRAIN, {"in.region": "SEA", "in.depth": "1"})
    before = newest()
    make_version("ml-dataset", Kind.DATASET, number=90, partitions={"region": " "})
    browse(program.admin).post(TRAIN, {"in.region": " ", "in.depth": "1"})
    found = literals_pb2.LiteralMap.FromString(stored(newest())).literals["region"]
    assert newest() != before and found.scalar.primitive.string_value == " "
