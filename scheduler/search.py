"""Search boxes of executions, launch plans, workflows and tasks, in the language of the artifacts' one.

    train -nightly phase:failed plan:nightly by:ann created>2026-01-01

All conditions must hold; the same filter twice means either. What is passed in is what the reader may see.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial, reduce
from operator import or_
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet
from django.utils import timezone

from artifacts.exceptions import InvalidArgument
from artifacts.search import Facet, Facets
from artifacts.search.filters import moment_q
from artifacts.search.language import Condition, grouped, parse
from scheduler.doing import State
from scheduler.doing.everywhere import executions_in, states_of
from scheduler.models import ExecutionMode, LaunchPlan, TriggerSource, ValueSide, Workflow
from scheduler.phases import EXECUTION_TERMINAL, ExecutionPhase
from scheduler.value_index import searched

Row = TypeVar("Row", bound=Model)
COUNTED = 500  # the newest so many of what was found are counted
TOP = 20  # values of a facet
LISTED = 200
AGES = {"today": 0, "7 days": 6, "30 days": 29}  # whole days before today


@dataclass(frozen=True)
class Searched:
    """What can be asked of one kind of row.

    `words`: what a word means. `filters`: what `key:value` means. `moments`: columns that are compared with a time.
    `named`: by the first part of a key, what `input.name:value` means. `facets`: by label, which is also a filter, the
    column whose values are counted, and how a value is typed; `finer`: of some of them, what tells more of all rows at
    once, from primary key and column.
    """

    words: Callable[[str], Q]
    filters: Mapping[str, Callable[[str], Q]]
    moments: Mapping[str, str]
    facets: Mapping[str, tuple[str, Callable[[Any], str]]]
    named: Mapping[str, Callable[[Condition], Q]] = field(default_factory=dict)
    finer: Mapping[str, Callable[[Sequence[tuple[int, Any]]], list[str]]] = field(default_factory=dict)

    def narrow(self, rows: QuerySet[Row], text: str) -> QuerySet[Row]:
        """InvalidArgument names the filter that makes no sense, and what is allowed in its place."""
        for alternatives in grouped(parse(text)):
            rows = rows.filter(reduce(or_, map(self._condition, alternatives)))
        return rows

    def count(self, rows: QuerySet[Any]) -> Facets:
        """How the newest of the rows spread, most frequent first; and how many are of these days. One query."""
        columns = [column for column, _ in self.facets.values()]
        plain = rows.select_related(None).prefetch_related(None).defer(None).order_by("-created_at", "-pk")
        found = list(plain.values_list("created_at", *columns, "pk")[: COUNTED + 1])
        values = {}
        for place, (label, (_, spelled)) in enumerate(self.facets.items(), start=1):
            known = [row for row in found[:COUNTED] if row[place] is not None]
            if (finer := self.finer.get(label)) is not None:
                counts = Counter(finer([(row[-1], row[place]) for row in known]))
            else:
                counts = Counter(spelled(row[place]) for row in known)
            values[label] = [Facet(*one) for one in sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:TOP]]
        today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
        days = [(words, today - timedelta(days=age)) for words, age in AGES.items()]
        values["created"] = [Facet(words, sum(row[0] >= day for row in found[:COUNTED])) for words, day in days]
        return Facets(values, len(found[:COUNTED]), len(found) > COUNTED)

    def _condition(self, condition: Condition) -> Q:
        return ~self._asked(condition) if condition.negated else self._asked(condition)

    def _asked(self, condition: Condition) -> Q:
        if not condition.operator:
            return self.words(condition.value)
        key = condition.key.lower()
        if not condition.value:
            raise InvalidArgument(f"{condition.key}{condition.operator} needs a value")
        if key in self.moments:
            return moment_q(self.moments[key], condition)
        if key in self.filters and condition.operator in (":", "="):
            return self.filters[key](condition.value)
        if (ask := self.named.get(key.partition(".")[0])) is not None and "." in key:
            return ask(condition)
        known = ", ".join(
            [
                *(f"{name}:" for name in self.filters),
                *(f"{name}>" for name in self.moments),
                *(f"{name}.NAME:" for name in self.named),
            ]
        )
        raise InvalidArgument(f"'{condition}' is no filter here; filters: {known}")


def filter_of(label: str, value: str) -> str:
    """What to type for a value of a facet."""
    if label == "created":
        day = timezone.now() - timedelta(days=AGES[value])
        return str(Condition("created", ">=", day.strftime("%Y-%m-%d")))
    return str(Condition(label, ":", value))


def _within(*columns: str) -> Callable[[str], Q]:
    return lambda word: reduce(or_, (Q(**{f"{column}__icontains": word}) for column in columns))


def _is(column: str) -> Callable[[str], Q]:
    return lambda value: Q(**{column: value})


def _named(column: str) -> Callable[[str], Q]:
    """The whole name, its last part (the function's name), or with `*` what it begins with or contains."""

    def ask(value: str) -> Q:
        if "*" in value:
            return Q(**{f"{column}__icontains": value.replace("*", "")})
        return Q(**{column: value}) | Q(**{f"{column}__endswith": f".{value}"})

    return ask


def _among(relation: str, rows: QuerySet[Any]) -> Q:
    """Those of these rows. Few of them are written into the statement: then the database knows how rare they are."""
    ids = list(rows.values_list("pk", flat=True)[: LISTED + 1])
    return Q(**{f"{relation}__in": ids if len(ids) <= LISTED else rows.values("pk")})


def _of(relation: str, model: type[Workflow] | type[LaunchPlan]) -> Callable[[str], Q]:
    named = _named("name")
    return lambda value: _among(relation, model.objects.filter(named(value)))


def _execution_words(word: str) -> Q:
    named = Q(name__icontains=word)
    workflows, plans = Workflow.objects.filter(named), LaunchPlan.objects.filter(named)
    return named | _among("workflow", workflows) | _among("launch_plan", plans)


def _choice(column: str, choices: Mapping[str, int]) -> Callable[[str], Q]:
    def ask(value: str) -> Q:
        number = int(value) if value.isdecimal() and value.isascii() else choices.get(value.lower().replace(" ", "_"))
        if number not in choices.values():
            raise InvalidArgument(f"{column}: is one of {', '.join(choices)}, not '{value}'")
        return Q(**{column: number})

    return ask


PHASES = {phase.name.lower(): int(phase) for phase in ExecutionPhase}
MODES = {mode.name.lower(): int(mode) for mode in ExecutionMode}
STATES = {state.name.lower(): int(state) for state in LaunchPlan.State}
_PHASE_NAMES = {number: name for name, number in PHASES.items()}
_phase = _choice("phase", PHASES)


_STATES = {state.value: (state,) for state in State} | {"idle": (State.QUEUED, State.WAITING)}
_PHASES_BUT_STATES = {name: phase for name, phase in PHASES.items() if name not in _STATES}


def _state_or_phase(value: str) -> Q:
    """What unfinished ones do (scheduler.doing), else the phase; a number is always a phase of FlyteIDL."""
    word = value.lower().replace(" ", "_")
    if word == "unfinished":
        return Q(ended_at__isnull=True)
    if word in _STATES:
        return Q(pk__in=executions_in(*_STATES[word]))
    if word.isdecimal():
        return _phase(value)
    return _choice("phase", {**dict.fromkeys(_STATES, -1), **_PHASES_BUT_STATES})(value)


def _states_for_phases(rows: Sequence[tuple[int, Any]]) -> list[str]:
    """Of (primary key, phase): the state of what goes on, the name of the phase else."""
    now = states_of([pk for pk, phase in rows if phase not in EXECUTION_TERMINAL])
    return [now[pk].value if pk in now else _PHASE_NAMES[phase] for pk, phase in rows]


def _starts(value: str) -> Q:
    ways = {
        "trigger": Q(trigger__isnull=False),
        "schedule": Q(schedule__isnull=False),
        "hand": Q(trigger__isnull=True, schedule__isnull=True),
    }
    if value not in ways:
        raise InvalidArgument(f"starts: is one of {', '.join(ways)}, not '{value}'")
    return ways[value]


def _on_artifact(value: str) -> Q:
    return Q(pk__in=TriggerSource.objects.filter(name=value).values("trigger__launch_plan"))


def _name_of(choices: Mapping[str, int]) -> Callable[[int], str]:
    return {number: name for name, number in choices.items()}.__getitem__


def _last_part(name: str) -> str:
    """The function's name, by which `_named` finds it."""
    return name.rpartition(".")[2]


_SCOPE = {"project": _is("project"), "domain": _is("domain")}

EXECUTIONS = Searched(
    words=_execution_words,
    filters={
        "phase": _state_or_phase,
        "workflow": _of("workflow", Workflow),
        "plan": _of("launch_plan", LaunchPlan),
        "mode": _choice("mode", MODES),
        "by": _is("principal"),
        "name": _named("name"),
        "version": _is("workflow__version"),
        **_SCOPE,
    },
    moments={"created": "created_at", "started": "started_at", "ended": "ended_at"},
    named={side.value: partial(searched, side) for side in ValueSide},
    facets={
        "phase": ("phase", _name_of(PHASES)),
        "workflow": ("workflow__name", _last_part),
        "plan": ("launch_plan__name", _last_part),
        "mode": ("mode", _name_of(MODES)),
        "by": ("principal", str),
    },
    finer={"phase": _states_for_phases},
)
LAUNCH_PLANS = Searched(
    words=_within("name", "workflow__name"),
    filters={
        "state": _choice("state", STATES),
        "starts": _starts,
        "artifact": _on_artifact,
        "workflow": _named("workflow__name"),
        "name": _named("name"),
        "version": _is("version"),
        **_SCOPE,
    },
    moments={"created": "created_at"},
    facets={
        "state": ("state", _name_of(STATES)),
        "artifact": ("trigger__artifact_name", str),
        "project": ("project", str),
        "domain": ("domain", str),
    },
)
_REGISTERED = {"name": _named("name"), "version": _is("version"), **_SCOPE}
WORKFLOWS = Searched(
    words=_within("name", "short_description"),
    filters=_REGISTERED,
    moments={"created": "created_at"},
    facets={"version": ("version", str), "project": ("project", str), "domain": ("domain", str)},
)
TASKS = Searched(
    words=_within("name", "short_description"),
    filters={"type": _is("type"), **_REGISTERED},
    moments={"created": "created_at"},
    facets={
        "type": ("type", str),
        "version": ("version", str),
        "project": ("project", str),
        "domain": ("domain", str),
    },
)
