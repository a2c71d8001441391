"""Who is told of executions, and what became of telling them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.access_objects import access_execution, access_notification, access_subscription
from console.accounts import access
from console.accounts.access import Action
from console.rest.base import ApiView, Body, Filters, ListView, ScopeFilters, read_body, read_query, user_of
from scheduler.actions.subscriptions import subscribe, unsubscribe
from scheduler.models import Channel, Notification, Subject, Subscription
from scheduler.notifications.deliver import send_again

TAGS = ["notifications"]


class SubscriptionBody(Body):
    project = serializers.CharField(max_length=64)
    domain = serializers.CharField(max_length=64, required=False, allow_blank=True, default="", help_text="empty: all")
    launch_plan = serializers.CharField(
        max_length=255, required=False, allow_blank=True, default="", help_text="its name; empty: all"
    )
    subjects = serializers.ListField(child=serializers.ChoiceField(choices=Subject.choices), min_length=1)
    channel = serializers.ChoiceField(choices=Channel.choices)
    address = serializers.CharField(max_length=2000, help_text="a URL, or a mail address")
    secret = serializers.CharField(
        max_length=500, required=False, allow_blank=True, default="", help_text="webhooks are signed with it"
    )


class SubscriptionOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    project = serializers.CharField()
    domain = serializers.CharField()
    launch_plan = serializers.CharField()
    subjects = serializers.ListField(child=serializers.CharField())
    channel = serializers.ChoiceField(choices=Channel.choices)
    address = serializers.CharField()
    signed = serializers.SerializerMethodField(help_text="it has a secret, which is not shown again")
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()

    def get_signed(self, subscription: Subscription) -> bool:
        return bool(subscription.secret)


class SubscriptionsView(ListView):
    @extend_schema(parameters=[ScopeFilters], responses=SubscriptionOut(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        """Subscriptions of the projects one administers: addresses can be secrets."""
        asked = read_query(ScopeFilters, request)
        rows = Subscription.objects.filter(access.readable(user_of(request), action=Action.ADMIN))
        return self.page(request, rows.filter(**asked), SubscriptionOut)

    @extend_schema(request=SubscriptionBody, responses={201: SubscriptionOut}, tags=TAGS)
    def post(self, request: Request) -> Response:
        """Have an address told of a project's executions from now on."""
        user = user_of(request)
        body = read_body(SubscriptionBody, request)
        access.require(user, Action.ADMIN, body["project"], body["domain"])
        body |= {"channel": Channel(body["channel"]), "subjects": [Subject(each) for each in body["subjects"]]}
        made = subscribe(**body, actor=user.username)
        return Response(SubscriptionOut(made).data, status=201)


class SubscriptionView(ApiView):
    @extend_schema(responses=SubscriptionOut, tags=TAGS)
    def get(self, request: Request, subscription_id: int) -> Response:
        return Response(SubscriptionOut(access_subscription(user_of(request), subscription_id)).data)

    @extend_schema(responses={204: None}, tags=TAGS)
    def delete(self, request: Request, subscription_id: int) -> Response:
        """Nobody is told by it any more; what waits to be sent is still sent."""
        user = user_of(request)
        found = access_subscription(user, subscription_id)
        unsubscribe(found, actor=user.username)
        return Response(status=204)


class NotificationOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    subject = serializers.ChoiceField(choices=Subject.choices)
    signal_id = serializers.CharField(help_text="of the gate that waits")
    channel = serializers.ChoiceField(choices=Channel.choices)
    to = serializers.CharField(source="shown_address", help_text="of a URL only the host")
    created_at = serializers.DateTimeField()
    attempts = serializers.IntegerField()
    next_at = serializers.DateTimeField(help_text="of the next attempt, if it was neither sent nor given up")
    sent_at = serializers.DateTimeField(allow_null=True)
    given_up_at = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField(help_text="of the last attempt")


class NotificationsView(ListView):
    @extend_schema(responses=NotificationOut(many=True), tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str) -> Response:
        """What was told, or is to be told, of an execution."""
        read_query(Filters, request)
        execution = access_execution(user_of(request), project, domain, name)
        return self.page(request, Notification.objects.filter(execution=execution), NotificationOut)


class SendAgainView(ApiView):
    @extend_schema(request=None, responses=NotificationOut, tags=TAGS)
    def post(self, request: Request, notification_id: int) -> Response:
        """Send a notification again, whatever became of it."""
        user = user_of(request)
        found: Notification = access_notification(user, notification_id, action=Action.LAUNCH)
        send_again(found, actor=user.username)
        found.refresh_from_db()
        return Response(NotificationOut(found).data)
