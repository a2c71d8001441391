"""Champion and challengers: contests, their boards, who is made champion, and the runs beside production."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts.actions.aliases import move_alias
from artifacts.exceptions import InvalidArgument, NotFound
from artifacts.models import ArtifactVersion
from console.access_objects import access_contest, access_version
from console.accounts import access
from console.accounts.access import Action
from console.governance import mover_of
from console.rest.artifacts import AliasOut
from console.rest.base import ApiView, Body, Filters, ListView, ScopeFilters, read_body, read_query, user_of
from console.rest.checks import TAGS
from scheduler.actions.contests import (
    LEAST,
    MOST,
    Wish,
    catch_up,
    check_model,
    dataset_key,
    remove_contest,
    set_contest,
)
from scheduler.contests.board import SHOWN, Board, board_of
from scheduler.contests.members import states
from scheduler.contests.rules import Entry, Standing
from scheduler.contests.shadows import newest_of
from scheduler.models import Contest, Execution
from scheduler.phases import ExecutionPhase


class ContestBody(Body):
    dataset = serializers.CharField(max_length=400, help_text="a name, or project/domain/name")
    members = serializers.ListField(
        child=serializers.CharField(max_length=255), help_text=f"{LEAST} to {MOST} launch plans that train on it"
    )
    metric = serializers.CharField(max_length=255, allow_blank=True, help_text="by which their models are compared")
    better = serializers.ChoiceField(
        choices=["more", "less"], required=False, allow_blank=True, default="", help_text="told by the metric's name"
    )
    shadow_plan = serializers.CharField(
        required=False,
        allow_blank=True,
        default="",
        max_length=255,
        help_text="runs with challengers beside production",
    )
    shadow_input = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=255, help_text="of it, that takes the model"
    )


class ContestOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    project = serializers.CharField()
    domain = serializers.CharField()
    model = serializers.CharField()
    alias = serializers.CharField()
    dataset = serializers.CharField(help_text="project/domain/name")
    members = serializers.ListField(child=serializers.CharField())
    metric = serializers.CharField()
    better = serializers.CharField()
    shadow_plan = serializers.CharField()
    shadow_input = serializers.CharField()
    set_by = serializers.CharField()
    set_at = serializers.DateTimeField()


class ContestDetail(ContestOut):
    out_of_step = serializers.SerializerMethodField(help_text="{member: why its trigger does not train it now}")

    def get_out_of_step(self, row: Contest) -> dict[str, str]:
        return {member: why for member, why in states(row).items() if why}


class ContestsView(ListView):
    newest_by = "set_at"

    @extend_schema(parameters=[ScopeFilters], responses=ContestOut(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        """Contests: launch plans that train on the same dataset, for an alias of the model they publish."""
        filters = read_query(ScopeFilters, request)
        rows = Contest.objects.filter(access.readable(user_of(request)), removed_at__isnull=True, **filters)
        return self.page(request, rows, ContestOut)


class ContestView(ApiView):
    @extend_schema(responses=ContestDetail, tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str, alias: str) -> Response:
        """The contest for an alias, and which members are out of step; 404: there is none."""
        read_query(Filters, request)
        return Response(ContestDetail(access_contest(user_of(request), project, domain, name, alias)).data)

    @extend_schema(request=ContestBody, responses=ContestDetail, tags=TAGS)
    def put(self, request: Request, project: str, domain: str, name: str, alias: str) -> Response:
        """Set the contest: each new version of the dataset launches every member once from now on."""
        user = user_of(request)
        body = read_body(ContestBody, request)
        where = f"project {project} with domain {domain}"
        access.require_found(user, Action.ACTIVATE, project, domain, what=where)
        access.require(user, Action.DECIDE, project, domain)
        body["dataset"] = dataset_key(body["dataset"], project, domain)
        access.require_found(user, Action.READ, *body["dataset"][:2], what=f"artifact {'/'.join(body['dataset'])}")
        contest = set_contest(project, domain, name, alias, Wish(**body), actor=user.username)
        return Response(ContestDetail(contest).data)

    @extend_schema(responses={204: None}, tags=TAGS)
    def delete(self, request: Request, project: str, domain: str, name: str, alias: str) -> Response:
        """End it: triggers that it gave go off, what it launched stays."""
        user = user_of(request)
        contest = access_contest(user, project, domain, name, alias, action=Action.ACTIVATE)
        remove_contest(contest, actor=user.username)
        return Response(status=204)


class EntryOut(serializers.Serializer[Any]):
    member = serializers.CharField()
    standing = serializers.ChoiceField(choices=[one.value for one in Standing])
    reason = serializers.CharField()
    execution = serializers.CharField(allow_null=True, help_text="project/domain/name of the run")
    version = serializers.CharField(allow_null=True, help_text="of the model, that it published")
    version_id = serializers.IntegerField(allow_null=True)
    value = serializers.FloatField(allow_null=True, help_text="the metric")
    failing = serializers.ListField(
        child=serializers.CharField(), help_text="what of the alias's policy does not hold for it"
    )


class RoundOut(serializers.Serializer[Any]):
    dataset_version = serializers.CharField()
    dataset_version_id = serializers.IntegerField()
    at = serializers.DateTimeField()
    complete = serializers.BooleanField(help_text="nothing is missing, waits or runs")
    winner = serializers.CharField(allow_null=True, help_text="the member whose model is best, of those allowed")
    entries = EntryOut(many=True)


class BoardOut(serializers.Serializer[Any]):
    metric = serializers.CharField()
    better = serializers.CharField()
    champion = serializers.CharField(allow_null=True, help_text="the version that the alias names for all partitions")
    champions = AliasOut(many=True, help_text="what it names, one for each where it is kept per partition")
    rounds = RoundOut(many=True, help_text="a dataset version each, newest first")


class BoardFilters(Body):
    before = serializers.IntegerField(required=False, allow_null=True, default=None, help_text="a dataset_version_id")
    limit = serializers.IntegerField(required=False, default=SHOWN, min_value=1, max_value=100)


def entry_json(entry: Entry) -> dict[str, Any]:
    model = entry.model
    return {
        "member": entry.member,
        "standing": entry.standing.value,
        "reason": entry.reason,
        "execution": entry.execution.key if entry.execution is not None else None,
        "version": model.version if model is not None else None,
        "version_id": model.version_id if model is not None else None,
        "value": model.value if model is not None else None,
        "failing": list(model.failing) if model is not None else [],
    }


def board_json(board: Board) -> dict[str, Any]:
    return {
        "metric": board.contest.metric,
        "better": board.contest.better,
        "champion": board.champion.version if board.champion is not None else None,
        "champions": board.champions,
        "rounds": [
            {
                "dataset_version": one.version.version,
                "dataset_version_id": one.version.pk,
                "at": one.version.created_at,
                "complete": one.is_complete,
                "winner": one.winner.member if one.winner is not None else None,
                "entries": [entry_json(entry) for entry in one.entries],
            }
            for one in board.rounds
        ],
    }


class ContestBoardView(ApiView):
    @extend_schema(parameters=[BoardFilters], responses=BoardOut, tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str, alias: str) -> Response:
        """What came of each version of the dataset at each member, newest first; `before` pages on."""
        user = user_of(request)
        asked = read_query(BoardFilters, request)
        contest = access_contest(user, project, domain, name, alias)
        return Response(BoardOut(board_json(board_of(contest, may_read=access.reader(user), **asked))).data)


class ChampionBody(Body):
    member = serializers.CharField(required=False, default="", max_length=255, help_text="its newest version")
    version = serializers.CharField(required=False, default="", help_text="instead: a version of the model")
    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=10_000)
    force = serializers.BooleanField(required=False, default=False, help_text="against the policy, with a reason")


def challenger_of(contest: Contest, member: str) -> ArtifactVersion:
    """The newest version of the member. NotFound where it has none, or is none."""
    if member not in contest.members:
        raise NotFound(f"{member[:255]} is no member; members: {', '.join(contest.members)}")
    found = newest_of(contest).get(member)
    if found is None:
        raise NotFound(f"{member} has published no version of {contest.model} that is neither removed nor quarantined")
    return found


class ContestChampionView(ApiView):
    @extend_schema(request=ChampionBody, responses=AliasOut, tags=TAGS)
    def put(self, request: Request, project: str, domain: str, name: str, alias: str) -> Response:
        """Make a challenger champion at once: a move of the alias, which its policy judges."""
        user = user_of(request)
        body = read_body(ChampionBody, request)
        contest = access_contest(user, project, domain, name, alias, action=Action.DECIDE)
        if bool(body["member"]) == bool(body["version"]):
            raise InvalidArgument("give a member, or a version")
        if body["version"]:
            version = access_version(user, project, domain, name, body["version"], action=Action.DECIDE)
        else:
            version = challenger_of(contest, body["member"])
        check_model(contest, version)
        mover = mover_of(user, version.artifact, force=body["force"])
        return Response(
            AliasOut(move_alias(version, alias, actor=user.username, reason=body["reason"], mover=mover)).data
        )


class CatchUpBody(Body):
    version = serializers.CharField(required=False, default="latest", help_text="of the dataset")


class CatchUpOut(serializers.Serializer[Any]):
    members = serializers.ListField(child=serializers.CharField(), help_text="those that had not trained on it")


class ContestCatchUpView(ApiView):
    @extend_schema(request=CatchUpBody, responses=CatchUpOut, tags=TAGS)
    def post(self, request: Request, project: str, domain: str, name: str, alias: str) -> Response:
        """Have members that did not train on a version of the dataset train on it; once, whoever asks."""
        user = user_of(request)
        body = read_body(CatchUpBody, request)
        contest = access_contest(user, project, domain, name, alias, action=Action.LAUNCH)
        dataset = (contest.dataset_project, contest.dataset_domain, contest.dataset_name)
        version = access_version(user, *dataset, body["version"])
        return Response({"members": catch_up(contest, version, actor=user.username)})


class ShadowOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    execution = serializers.CharField(source="key")
    beside = serializers.CharField(source="reference.key", help_text="the production run with the champion")
    phase = serializers.SerializerMethodField()
    model_version = serializers.SerializerMethodField(help_text="the challenger's, that it ran with")
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)

    def get_phase(self, row: Execution) -> str:
        return ExecutionPhase(row.phase).name

    def get_model_version(self, row: Execution) -> str:
        return str(row.resolution.get(row.shadow.shadow_input if row.shadow else "", {}).get("version", ""))


class ContestShadowsView(ListView):
    newest_by = "created_at"

    @extend_schema(responses=ShadowOut(many=True), tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str, alias: str) -> Response:
        """The runs beside production, newest first. What they publish is marked and never taken for production's."""
        read_query(Filters, request)
        user = user_of(request)
        contest = access_contest(user, project, domain, name, alias)
        rows = Execution.objects.filter(access.readable(user), shadow=contest, parent_node__isnull=True)
        return self.page(request, rows.select_related("reference", "shadow"), ShadowOut)
