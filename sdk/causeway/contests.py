"""Champion and challengers: launch plans that train on the same dataset, kept in step, and who leads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from causeway.client import Client


class Contests:
    """`model` is the name of the artifact that the members publish, `alias` that of their champion."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def _call(self, method: str, model: str, alias: str, rest: str = "", **options: Any) -> Any:
        path = f"{self._client.artifact_path(model)}/aliases/{quote(alias, safe='')}/contest{rest}"
        return self._client.connection.call(method, path, **options)

    def list(self, **filters: str) -> Iterator[dict[str, Any]]:
        """All of them; `filters`: project, domain."""
        return self._client.connection.pages("contests", **filters)

    def get(self, model: str, alias: str = "champion") -> dict[str, Any]:
        """The contest, and why which members are `out_of_step`. CausewayError (404): there is none."""
        return dict(self._call("GET", model, alias))

    def set(
        self,
        model: str,
        alias: str = "champion",
        *,
        dataset: str,
        members: Sequence[str],
        metric: str,
        better: str = "",
        shadow_plan: str = "",
        shadow_input: str = "",
    ) -> dict[str, Any]:
        """Set the contest: each new version of the dataset launches every member once from now on.

        :param dataset: a name, or project/domain/name
        :param members: launch plans with an active version; one without a trigger is given one
        :param metric: of the versions that they publish, by which these are compared
        :param better: "more" or "less"; default: as the metric's name tells
        :param shadow_plan: batch inference that runs with the challengers too, whenever it runs with the champion
        :param shadow_input: its input that takes the model
        """
        body = {"dataset": dataset, "members": list(members), "metric": metric, "better": better}
        body |= {"shadow_plan": shadow_plan, "shadow_input": shadow_input}
        return dict(self._call("PUT", model, alias, json=body))

    def remove(self, model: str, alias: str = "champion") -> None:
        """End it: triggers that it gave go off, what it launched stays."""
        self._call("DELETE", model, alias)

    def board(self, model: str, alias: str = "champion", **page: int) -> dict[str, Any]:
        """What came of each version of the dataset at each member; `page`: limit, before (a dataset_version_id)."""
        return dict(self._call("GET", model, alias, "/board", params=page))

    def make_champion(
        self,
        model: str,
        alias: str = "champion",
        *,
        member: str = "",
        version: str = "",
        reason: str = "",
        force: bool = False,
    ) -> dict[str, Any]:
        """Point the alias at the newest version of a member, or at a version, at once; its policy judges that.

        :param force: against the policy, which takes a role and a reason
        """
        given = {"member": member, "version": version}
        body: dict[str, Any] = {"reason": reason, "force": force} | {key: one for key, one in given.items() if one}
        return dict(self._call("PUT", model, alias, "/champion", json=body))

    def catch_up(self, model: str, alias: str = "champion", *, version: str = "latest") -> Sequence[str]:
        """Have members that did not train on a version of the dataset train on it; their names."""
        return [
            str(name) for name in self._call("POST", model, alias, "/catch-up", json={"version": version})["members"]
        ]

    def shadows(self, model: str, alias: str = "champion") -> Iterator[dict[str, Any]]:
        """The runs beside production, newest first."""
        path = f"{self._client.artifact_path(model)}/aliases/{quote(alias, safe='')}/contest/shadows"
        return self._client.connection.pages(path)
