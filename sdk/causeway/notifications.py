"""Being told of what happens: subscriptions, what became of telling, and what one was told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from causeway.client import Client


class Notifications:
    """Over the REST API."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def kinds(self) -> list[dict[str, str]]:
        """The kinds of happenings that there are: `name`, and `words` for people."""
        return list(self._client.connection.call("GET", "happenings/kinds"))

    def subscribe(self, kinds: Sequence[str], *, channel: str = "console", **wish: str) -> dict[str, Any]:
        """Be told from now on. Without an address you are, by the console or by email.

        :param kinds: kinds of happenings, all of one subject (`alias.*`), or `*`
        :param wish: project, domain, artifact and launch_plan (patterns, `*` for any characters), address, secret
        """
        body = {"kinds": list(kinds), "channel": channel, **{name: text for name, text in wish.items() if text}}
        return dict(self._client.connection.call("POST", "subscriptions", json=body))

    def subscriptions(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """Yours, and those of the projects that you administer; `filters`: project, domain."""
        return self._client.connection.pages("subscriptions", **filters)

    def unsubscribe(self, subscription: int) -> None:
        """What waits to be sent by it is not sent any more."""
        self._client.connection.call("DELETE", f"subscriptions/{subscription}")

    def log(self, subscription: int) -> Iterator[dict[str, Any]]:
        """What was sent by it, or is to be, with each attempt (`log`), newest first."""
        return self._client.connection.pages(f"subscriptions/{subscription}/log")

    def send_again(self, notification: int) -> dict[str, Any]:
        """Whatever became of it: it is due now."""
        return dict(self._client.connection.call("POST", f"notifications/{notification}/send"))

    def inbox(self, *, unread: bool = False) -> Iterator[dict[str, Any]]:
        """What you were told by the console, newest first."""
        return self._client.connection.pages("inbox", **({"unread": True} if unread else {}))

    def mark_read(self, until: int) -> int:
        """All up to the one with that id; the number of those that were not read."""
        return int(self._client.connection.call("POST", "inbox", json={"until": until})["read"])
