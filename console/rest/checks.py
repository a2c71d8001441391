"""Checks of artifacts, what they say of versions, and reports."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts.exceptions import NotFound
from artifacts.governance.checks import Report, Wish, drop_check, judge_again, report, set_check
from artifacts.governance.kinds import KINDS
from artifacts.governance.quarantine import quarantine, release
from artifacts.models import Artifact, CheckResult, CheckRule, CheckStatus, Severity
from console.access_objects import access_artifact, access_version
from console.accounts.access import Action
from console.rest.base import ApiView, Body, Filters, read_body, read_query, user_of

TAGS = ["governance"]


class CheckBody(Body):
    kind = serializers.CharField(help_text=f"one of {', '.join(KINDS)}")
    parameters = serializers.JSONField(required=False, default=dict, help_text="as the kind takes them")
    partitions = serializers.DictField(
        child=serializers.CharField(trim_whitespace=False),
        required=False,
        default=dict,
        help_text="only versions with these values are judged",
    )
    severity = serializers.ChoiceField(choices=Severity.choices, required=False, default=Severity.BLOCK)


class CheckOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    kind = serializers.CharField()
    parameters = serializers.DictField()
    partitions = serializers.DictField(child=serializers.CharField())
    severity = serializers.ChoiceField(choices=Severity.choices)
    set_by = serializers.CharField()
    set_at = serializers.DateTimeField()


class ResultOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    kind = serializers.CharField()
    severity = serializers.ChoiceField(choices=Severity.choices)
    status = serializers.ChoiceField(choices=CheckStatus.choices)
    message = serializers.CharField()
    numbers = serializers.DictField(child=serializers.FloatField())
    evidence = serializers.DictField()
    actor = serializers.CharField()
    at = serializers.DateTimeField()


def _rule(artifact: Artifact, check: str) -> CheckRule:
    rule = CheckRule.objects.filter(artifact=artifact, name=check).first()
    if rule is None:
        raise NotFound(f"{artifact} has no check '{check}'")
    return rule


class ChecksView(ApiView):
    @extend_schema(responses=CheckOut(many=True), tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str) -> Response:
        """The checks that judge each new version, by name."""
        read_query(Filters, request)
        artifact = access_artifact(user_of(request), project, domain, name)
        return Response(CheckOut(CheckRule.objects.filter(artifact=artifact).order_by("name"), many=True).data)


class CheckView(ApiView):
    @extend_schema(responses=CheckOut, tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str, check: str) -> Response:
        """One check."""
        return Response(CheckOut(_rule(access_artifact(user_of(request), project, domain, name), check)).data)

    @extend_schema(request=CheckBody, responses=CheckOut, tags=TAGS)
    def put(self, request: Request, project: str, domain: str, name: str, check: str) -> Response:
        """Set a check, in the place of one of that name. The newest versions are judged by it at once."""
        user = user_of(request)
        artifact = access_artifact(user, project, domain, name, action=Action.DECIDE)
        body = read_body(CheckBody, request)
        return Response(CheckOut(set_check(artifact, Wish(check, **body), actor=user.username)).data)

    @extend_schema(responses={204: None}, tags=TAGS)
    def delete(self, request: Request, project: str, domain: str, name: str, check: str) -> Response:
        """Judge nothing by it any more; what it said stays."""
        user = user_of(request)
        artifact = access_artifact(user, project, domain, name, action=Action.DECIDE)
        drop_check(artifact, check, actor=user.username)
        return Response(status=204)


class ResultsView(ApiView):
    @extend_schema(responses=ResultOut(many=True), tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str, version: str) -> Response:
        """What checks say of the version, by name."""
        found = access_version(user_of(request), project, domain, name, version)
        return Response(ResultOut(CheckResult.objects.filter(version=found).order_by("name"), many=True).data)

    @extend_schema(request=None, responses=ResultOut(many=True), tags=TAGS)
    def post(self, request: Request, project: str, domain: str, name: str, version: str) -> Response:
        """Judge the version again, by the checks as they are now."""
        user = user_of(request)
        found = access_version(user, project, domain, name, version, action=Action.PUBLISH)
        return Response(ResultOut(judge_again(found, actor=user.username), many=True).data)


class ReportBody(Body):
    passed = serializers.BooleanField(required=False, allow_null=True, default=None)
    value = serializers.FloatField(
        required=False, allow_null=True, default=None, help_text="instead of `passed`, where the check has bounds"
    )
    message = serializers.CharField(required=False, allow_blank=True, default="", max_length=10_000)
    numbers = serializers.DictField(child=serializers.FloatField(), required=False, default=dict)
    evidence = serializers.DictField(required=False, default=dict, help_text="anything else that it stands on")
    severity = serializers.ChoiceField(
        choices=Severity.choices, required=False, default="", help_text="of a check that the artifact does not have"
    )


class ReportView(ApiView):
    @extend_schema(request=ReportBody, responses=ResultOut, tags=TAGS)
    def put(self, request: Request, project: str, domain: str, name: str, version: str, check: str) -> Response:
        """Report what a check of your own says of the version."""
        user = user_of(request)
        found = access_version(user, project, domain, name, version, action=Action.PUBLISH)
        body = read_body(ReportBody, request)
        return Response(ResultOut(report(found, Report(check, **body), actor=user.username)).data)


class QuarantineBody(Body):
    reason = serializers.CharField(max_length=10_000)


class QuarantineView(ApiView):
    @extend_schema(request=QuarantineBody, responses={204: None}, tags=TAGS)
    def put(self, request: Request, project: str, domain: str, name: str, version: str) -> Response:
        """Have queries and `latest` pass the version over, unless they ask for it."""
        user = user_of(request)
        found = access_version(user, project, domain, name, version, action=Action.DECIDE)
        quarantine(found, actor=user.username, reason=read_body(QuarantineBody, request)["reason"])
        return Response(status=204)

    @extend_schema(parameters=[QuarantineBody], responses={204: None}, tags=TAGS)
    def delete(self, request: Request, project: str, domain: str, name: str, version: str) -> Response:
        """Have queries find it again."""
        user = user_of(request)
        found = access_version(user, project, domain, name, version, action=Action.DECIDE)
        release(found, actor=user.username, reason=read_query(QuarantineBody, request)["reason"])
        return Response(status=204)
