"""Pages of contests: champion and challengers, what came of each version of the dataset at each, and shadow runs."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from artifacts.actions.aliases import move_alias
from artifacts.exceptions import InvalidArgument, NotFound
from artifacts.governance.pointers import policy_of
from artifacts.models import Happening
from console.access_objects import access_contest_id, access_version_id
from console.accounts import access
from console.accounts.access import Action
from console.governance import mover_of
from console.pages.charts import Dot, LineChart, Series, lines
from console.pages.form_fields import texts
from console.pages.metrics import spell
from console.pages.responses import PageRequest, attempt, page
from console.pages.scope import in_scope
from console.pages.tags import partitions_text
from scheduler.actions import contests
from scheduler.contests.board import SHOWN, Board, Round, board_of
from scheduler.contests.facts import SHADOW_REFUSED
from scheduler.contests.members import states
from scheduler.contests.rules import Entry
from scheduler.models import Contest, Execution

MOST = 200
RUNS = 50  # beside production, the newest


@require_GET
@page
def list_contests(request: PageRequest) -> HttpResponse:
    rows = in_scope(request, Contest.objects.filter(removed_at=None)).order_by("project", "domain", "model", "alias")
    context = {
        "contests": list(rows[:MOST]),
        "may_set": bool(access.known_projects(request.user, action=Action.ACTIVATE) != []),
        "typed": request.session.pop("contest_typed", {}),
    }
    return render(request, "contests/list.html", context)


@require_GET
@page
def show(request: PageRequest, contest_id: int) -> HttpResponse:
    contest = access_contest_id(request.user, contest_id)
    place = (contest.project, contest.domain)
    before = request.GET.get("before", "")
    board = board_of(
        contest, may_read=access.reader(request.user), before=int(before) if before.isdecimal() else None, limit=SHOWN
    )
    rows = Execution.objects.filter(access.readable(request.user), shadow=contest, parent_node__isnull=True)
    refused = Happening.objects.filter(
        access.readable(request.user),
        artifact=board.model,
        artifact__isnull=False,
        kind=SHADOW_REFUSED.name,
        detail__contest=contest.pk,
    )
    context = {
        "contest": contest,
        "board": board,
        "chart": _chart(board),
        "older": f"?{urlencode({'before': board.rounds[-1].version.pk})}" if len(board.rounds) == SHOWN else "",
        "models": [
            (partitions_text(one.version) if board.per else "", entry.member, entry.model)
            for one in board.rounds
            for entry in one.entries
            if entry.model
        ],
        "out_of_step": [(member, why) for member, why in states(contest).items() if why],
        "policy": policy_of(board.model.pk, contest.alias) if board.model is not None else None,
        "shadows": [_shadow(row, contest) for row in rows.select_related("reference").order_by("-pk")[:RUNS]],
        "refused": list(refused.order_by("-pk")[:5]),
        "may_move": access.can(request.user, Action.DECIDE, *place),
        "may_launch": access.can(request.user, Action.LAUNCH, *place),
        "may_change": access.can(request.user, Action.ACTIVATE, *place),
    }
    return render(request, "contests/show.html", context)


def _shadow(row: Execution, contest: Contest) -> tuple[Execution, str]:
    return row, str(row.resolution.get(contest.shadow_input, {}).get("version", ""))


def _chart(board: Board) -> LineChart | None:
    """A line for each member, over the versions of the dataset; the champion is ringed."""
    series = [
        Series(
            member,
            [
                _dot(board, round_, entry, entry.model.value)
                for round_ in board.rounds
                for entry in round_.entries
                if entry.member == member and entry.model is not None and entry.model.value is not None
            ],
        )
        for member in board.contest.members
    ]
    head = ("Member", "Dataset of", board.contest.metric)
    return lines(
        f"{board.contest.metric} over versions of {board.contest.dataset_name}", series, spell=spell, head=head
    )


def _dot(board: Board, round_: Round, entry: Entry, value: float) -> Dot:
    at: datetime = round_.version.created_at
    model = entry.model
    is_champion = model is not None and model.version_id in board.named
    wins = round_.winner is not None and round_.winner.member == entry.member
    words = f"{entry.member}: {spell(value)} on {round_.version.version}" + (", the winner" if wins else "")
    url = reverse("version", kwargs={"version_id": model.version_id}) if model is not None else ""
    return Dot(at, value, words, url, mark=board.contest.alias if is_champion else "", is_ringed=is_champion or wins)


@require_POST
@page
def set_one(request: PageRequest) -> HttpResponse:
    names = ("project", "domain", "model", "alias", "dataset", "members", "metric", "better", "shadow_plan")
    form = texts(request.POST, *names, "shadow_input")
    place = form["project"], form["domain"]
    access.require_found(request.user, Action.ACTIVATE, *place, what=f"project {place[0]} with domain {place[1]}")
    access.require(request.user, Action.DECIDE, *place)
    made: list[Contest] = []

    def act() -> None:
        dataset = contests.dataset_key(form["dataset"], *place)
        access.require_found(request.user, Action.READ, *dataset[:2], what=f"artifact {'/'.join(dataset)}")
        wish = contests.Wish(
            dataset=dataset,
            members=[name.strip() for name in form["members"].replace("\n", ",").split(",") if name.strip()],
            **{name: form[name] for name in ("metric", "better", "shadow_plan", "shadow_input")},
        )
        try:
            made.append(contests.set_contest(*place, form["model"], form["alias"], wish, actor=request.user.username))
        except NotFound as error:  # a name in the form, which is to be mended there
            raise InvalidArgument(error.message) from None

    if not attempt(request, act, "Each new version of the dataset trains every member from now on."):
        request.session["contest_typed"] = {name: text[:2000] for name, text in form.items()}
        return redirect("contests")
    return redirect("contest", contest_id=made[0].pk)


@require_POST
@page
def make_champion(request: PageRequest, contest_id: int) -> HttpResponse:
    """Points the alias at a challenger's version, by hand; `force=yes` against the policy."""
    contest = access_contest_id(request.user, contest_id, action=Action.DECIDE)
    form = texts(request.POST, "version", "reason")
    version = access_version_id(request.user, int(form["version"]) if form["version"].isdecimal() else 0)
    access.require(request.user, Action.DECIDE, version.artifact.project, version.artifact.domain)
    mover = mover_of(request.user, version.artifact, force=request.POST.get("force") == "yes")

    def act() -> None:
        contests.check_model(contest, version)
        move_alias(version, contest.alias, actor=request.user.username, reason=form["reason"], mover=mover)

    attempt(request, act, f"“{contest.alias}” names {version.version} now.")
    return redirect("contest", contest_id=contest.pk)


@require_POST
@page
def train(request: PageRequest, contest_id: int) -> HttpResponse:
    """Has members that did not train on a version of the dataset train on it."""
    contest = access_contest_id(request.user, contest_id, action=Action.LAUNCH)
    text = request.POST.get("version", "")
    version = access_version_id(request.user, int(text) if text.isdecimal() else 0)
    attempt(
        request,
        lambda: contests.catch_up(contest, version, actor=request.user.username),
        "Those that had not trained on it do so now.",
    )
    return redirect("contest", contest_id=contest.pk)


@require_POST
@page
def remove(request: PageRequest, contest_id: int) -> HttpResponse:
    contest = access_contest_id(request.user, contest_id, action=Action.ACTIVATE)
    attempt(request, lambda: contests.remove_contest(contest, actor=request.user.username), "The contest is over.")
    return redirect("contests")
