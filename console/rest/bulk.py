"""Publishing many versions in one request."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts.actions.publish import Publication
from artifacts.exceptions import CausewayError, InvalidArgument
from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import User
from console.rest.base import ApiView, user_of
from console.rest.problems import field_errors
from console.rest.publishing import PublishBody, check_body, publication_of, publish_here

MAX_ITEMS = 1000
PLACE = ("project", "domain", "name")


class BulkItem(PublishBody):
    project = serializers.CharField()
    domain = serializers.CharField()
    name = serializers.CharField()


class BulkBody(serializers.Serializer[Any]):
    items = BulkItem(many=True)


class PublishedOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    project = serializers.CharField()
    domain = serializers.CharField()
    name = serializers.CharField()
    version = serializers.CharField()
    created = serializers.BooleanField(help_text="false: the same was published before")


class BulkOut(serializers.Serializer[Any]):
    results = PublishedOut(many=True, help_text="in the order of the items")


class BulkView(ApiView):
    @extend_schema(request=BulkBody, responses={201: BulkOut}, tags=["artifacts"])
    def post(self, request: Request) -> Response:
        """Publish up to 1000 values or references together, of any artifacts: all of them, or none.

        The first item that is refused says why, counted from 0: `items/3: ...`. Doing it again with the same versions
        publishes nothing twice.
        """
        user = user_of(request)
        items = _items(request.data)
        publications = [_publication(index, item, user) for index, item in enumerate(items)]
        outcomes = publish_here(publications, user, apart=True)
        results = [
            {
                "id": outcome.version.pk,
                **{part: item[part] for part in PLACE},
                "version": outcome.version.version,
                "created": outcome.created,
            }
            for item, outcome in zip(items, outcomes, strict=True)
        ]
        return Response({"results": results}, status=201)


def _items(data: Any) -> list[dict[str, Any]]:
    items = data.get("items") if isinstance(data, dict) and set(data) == {"items"} else None
    if not isinstance(items, list) or not 0 < len(items) <= MAX_ITEMS:
        raise InvalidArgument(f'the body must be {{"items": [...]}} with 1 to {MAX_ITEMS} items')
    return items


def _publication(index: int, item: Any, user: User) -> Publication:
    try:
        if not isinstance(item, dict) or not all(isinstance(item.get(part), str) for part in PLACE):
            raise InvalidArgument("an item needs project, domain and name, as text")
        project, domain, name = (item[part] for part in PLACE)
        what = f"project {project} with domain {domain}"
        access.require_found(user, Action.PUBLISH, project, domain, what=what)
        body = check_body({key: value for key, value in item.items() if key not in PLACE})
        return publication_of(body, project, domain, name, user)
    except serializers.ValidationError as error:
        said = next(field_errors(error.detail))
        raise InvalidArgument(f"items/{index}: {said['pointer'].removeprefix('#/')}: {said['detail']}") from error
    except CausewayError as error:
        error.message = f"items/{index}: {error.message}"
        raise
