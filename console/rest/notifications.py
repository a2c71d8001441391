"""Who is told of what happens, and what became of telling them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console import subscribing
from console.access_objects import access_execution, access_notification, access_subscription
from console.accounts.access import Action
from console.rest.base import ApiView, Body, Filters, ListView, ScopeFilters, read_body, read_query, user_of
from scheduler.actions.subscriptions import PATTERN, Wish, unsubscribe
from scheduler.models import Channel, Notification, Subscription
from scheduler.notifications.deliver import send_again
from scheduler.notifications.texts import page_of, plans_of, said_of

TAGS = ["notifications"]
_ALL = "empty: all"


def _optional(most: int, help_text: str) -> Any:
    return serializers.CharField(max_length=most, required=False, allow_blank=True, default="", help_text=help_text)


class SubscriptionBody(Body):
    kinds = serializers.ListField(
        child=serializers.CharField(max_length=32),
        min_length=1,
        help_text="kinds of happenings, all of a subject (alias.*), or *",
    )
    project = _optional(64, "empty: all that you may read, if you give no address")
    domain = _optional(64, _ALL)
    artifact = _optional(PATTERN, f"a pattern of names, * for any characters; {_ALL}")
    launch_plan = _optional(PATTERN, f"a pattern of names, * for any characters; {_ALL}")
    channel = serializers.ChoiceField(choices=Channel.choices)
    address = _optional(2000, "a URL, or a mail address; empty: you yourself are told, by console or email")
    secret = _optional(500, "webhooks are signed with it")


class SubscriptionOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    owner = serializers.CharField(help_text="the person that is told; empty: the address is")
    kinds = serializers.ListField(child=serializers.CharField())
    project = serializers.CharField()
    domain = serializers.CharField()
    artifact = serializers.CharField()
    launch_plan = serializers.CharField()
    channel = serializers.ChoiceField(choices=Channel.choices)
    address = serializers.CharField()
    signed = serializers.SerializerMethodField(help_text="it has a secret, which is not shown again")
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()

    def get_signed(self, subscription: Subscription) -> bool:
        return subscription.sealed is not None


class SubscriptionsView(ListView):
    @extend_schema(parameters=[ScopeFilters], responses=SubscriptionOut(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        """Your own subscriptions, and those of the projects that you administer: addresses can be secrets."""
        asked = read_query(ScopeFilters, request)
        return self.page(request, subscribing.visible(user_of(request)).filter(**asked), SubscriptionOut)

    @extend_schema(request=SubscriptionBody, responses={201: SubscriptionOut}, tags=TAGS)
    def post(self, request: Request) -> Response:
        """Have yourself, or an address, told of what happens from now on."""
        body = read_body(SubscriptionBody, request)
        made = subscribing.make(user_of(request), Wish(**body | {"channel": Channel(body["channel"])}))
        return Response(SubscriptionOut(made).data, status=201)


class SubscriptionView(ApiView):
    @extend_schema(responses=SubscriptionOut, tags=TAGS)
    def get(self, request: Request, subscription_id: int) -> Response:
        return Response(SubscriptionOut(access_subscription(user_of(request), subscription_id)).data)

    @extend_schema(responses={204: None}, tags=TAGS)
    def delete(self, request: Request, subscription_id: int) -> Response:
        """Nobody is told by it any more, of what waits to be sent neither."""
        user = user_of(request)
        found = access_subscription(user, subscription_id)
        unsubscribe(found, actor=user.username)
        return Response(status=204)


class DeliveryAttemptOut(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    seconds = serializers.FloatField()
    said = serializers.CharField(help_text="why it was not taken; empty: it was")


class NotificationOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    kind = serializers.CharField(source="happening.kind")
    happening = serializers.IntegerField(source="happening_id")
    subject = serializers.CharField(source="happening.subject")
    name = serializers.CharField(source="happening.name", help_text="of the alias, the check, the gate")
    channel = serializers.ChoiceField(choices=Channel.choices)
    to = serializers.CharField(source="shown_address", help_text="of a URL only the host")
    created_at = serializers.DateTimeField()
    attempts = serializers.IntegerField()
    next_at = serializers.DateTimeField(help_text="of the next attempt, if it was neither sent nor given up")
    sent_at = serializers.DateTimeField(allow_null=True)
    given_up_at = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField(help_text="of the last attempt")
    log = DeliveryAttemptOut(many=True)


class LogView(ListView):
    @extend_schema(responses=NotificationOut(many=True), tags=TAGS)
    def get(self, request: Request, subscription_id: int) -> Response:
        """What was told by a subscription, or is to be, with each attempt, newest first."""
        read_query(Filters, request)
        user = user_of(request)
        found = access_subscription(user, subscription_id)
        return self.page(request, subscribing.log_of(user, found), NotificationOut)


class NotificationsView(ListView):
    @extend_schema(responses=NotificationOut(many=True), tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str) -> Response:
        """What was told, or is to be told, of an execution."""
        read_query(Filters, request)
        user = user_of(request)
        execution = access_execution(user, project, domain, name)
        return self.page(request, subscribing.told_of(user, execution), NotificationOut)


class SendAgainView(ApiView):
    @extend_schema(request=None, responses=NotificationOut, tags=TAGS)
    def post(self, request: Request, notification_id: int) -> Response:
        """Send a notification again, whatever became of it."""
        user = user_of(request)
        found = access_notification(user, notification_id, action=Action.LAUNCH)
        send_again(found, actor=user.username)
        found.refresh_from_db()
        return Response(NotificationOut(found).data)


class ToldOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    kind = serializers.CharField(source="happening.kind")
    at = serializers.DateTimeField(source="created_at")
    project = serializers.CharField(source="happening.project")
    domain = serializers.CharField(source="happening.domain")
    said = serializers.SerializerMethodField()
    url = serializers.SerializerMethodField(help_text="the page with more of it")
    read_at = serializers.DateTimeField(allow_null=True)

    def get_said(self, row: Notification) -> str:
        return said_of(row.happening, self.context["plans"])

    def get_url(self, row: Notification) -> str:
        return page_of(row.happening)


class InboxFilters(Filters):
    unread = serializers.BooleanField(required=False, default=False)


class ReadBody(Body):
    until = serializers.IntegerField(min_value=0, max_value=2**63 - 1, help_text="the id of the newest that was read")


class InboxView(ListView):
    @extend_schema(parameters=[InboxFilters], responses=ToldOut(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        """What you were told, as the console's bell shows it."""
        asked = read_query(InboxFilters, request)
        rows = subscribing.inbox(user_of(request))
        rows = rows.filter(read_at=None) if asked["unread"] else rows
        return self.page(request, rows, ToldOut, context_of=_plans)

    @extend_schema(request=ReadBody, responses={200: {"type": "object"}}, tags=TAGS)
    def post(self, request: Request) -> Response:
        """Mark as read all up to one."""
        body = read_body(ReadBody, request)
        return Response({"read": subscribing.mark_read(user_of(request), until=body["until"])})


def _plans(rows: list[Notification]) -> dict[str, Any]:
    return {"plans": plans_of([row.happening for row in rows])}
