"""`causeway check ...`, `causeway policy ...`, `causeway artifact quarantine`: whether versions are good enough."""

from __future__ import annotations

import json
from typing import Any

import click

from causeway.addresses import parse
from causeway.cli.artifacts import artifact
from causeway.cli.options import json_anyway, json_option, partition_option
from causeway.cli.output import say, show_rows
from causeway.cli.root import main
from causeway.client import Client

_SEVERITY = click.option("--severity", type=click.Choice(["block", "warn"]), default="block", show_default=True)
_VERSION = click.option("--version", default="latest", show_default=True, help="Or an alias.")


class _Given(click.ParamType):  # type: ignore[type-arg]  # of older clicks it takes no argument
    """NAME=VALUE, the value as JSON where it is JSON, else as text."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        if isinstance(value, tuple):
            return value
        key, separator, text = str(value).partition("=")
        if not separator or not key:
            self.fail(f"{value!r} is not NAME=VALUE", param, ctx)
        try:
            return key, json.loads(text)
        except ValueError:
            return key, text


_GIVEN = _Given()


@main.group()
def check() -> None:
    """What judges each new version of an artifact, and what it said."""


@check.command("set")
@click.argument("name")
@click.argument("check")
@click.argument("kind")
@click.argument("parameters", nargs=-1, type=_GIVEN)
@partition_option
@_SEVERITY
@json_anyway
@click.pass_obj
def set_check(
    client: Client,
    name: str,
    check: str,
    kind: str,
    parameters: tuple[tuple[str, Any], ...],
    partitions: dict[str, str],
    severity: str,
) -> None:
    """Have CHECK judge each new version of NAME: `causeway check set model good metric metric=auc at_least=0.8`.

    KIND is metric, comparison, rows, schema, drift, concept, freshness, reported or program (a task or launch
    plan of yours); PARAMETERS are NAME=VALUE, values as JSON or text.
    """
    if clash := sorted({"partitions", "severity"} & {key for key, _ in parameters}):
        raise click.UsageError(f"{', '.join(clash)}: give it as an option")
    found = client.governance.set_check(name, check, kind, partitions=partitions, severity=severity, **dict(parameters))
    click.echo(json.dumps(found, indent=2))


@check.command("list")
@click.argument("name")
@json_option
@click.pass_obj
def list_checks(client: Client, name: str, as_json: bool) -> None:
    """The checks of NAME."""
    rows = [{**row, "parameters": json.dumps(row["parameters"])} for row in client.governance.checks(name)]
    show_rows(rows, ["name", "kind", "parameters", "severity", "set_by"], as_json=as_json)


@check.command("remove")
@click.argument("name")
@click.argument("check")
@json_option
@click.pass_obj
def remove_check(client: Client, name: str, check: str, as_json: bool) -> None:
    """Judge nothing of NAME by CHECK any more; what it said stays."""
    client.governance.remove_check(name, check)
    say({"name": name, "check": check, "removed": True}, f"{check} of {name} is removed", as_json=as_json)


@check.command()
@click.argument("name")
@_VERSION
@json_option
@click.pass_obj
def results(client: Client, name: str, version: str, as_json: bool) -> None:
    """What checks say of a version of NAME."""
    rows = client.governance.results(name, version)
    show_rows(rows, ["name", "status", "severity", "message", "at"], as_json=as_json)


@check.command()
@click.argument("name")
@_VERSION
@json_option
@click.pass_obj
def run(client: Client, name: str, version: str, as_json: bool) -> None:
    """Judge a version of NAME again, by its checks as they are now."""
    rows = client.governance.run_checks(name, version)
    show_rows(rows, ["name", "status", "severity", "message", "at"], as_json=as_json)


@check.command()
@click.argument("name")
@click.argument("check")
@_VERSION
@click.option("--passed/--failed", default=None)
@click.option("--value", type=float, help="Instead, where the check has bounds.")
@click.option("--message", default="")
@click.option("--number", "numbers", multiple=True, type=_GIVEN, metavar="NAME=NUMBER")
@json_anyway
@click.pass_obj
def report(
    client: Client,
    name: str,
    check: str,
    version: str,
    passed: bool | None,
    value: float | None,
    message: str,
    numbers: tuple[tuple[str, Any], ...],
) -> None:
    """Report what CHECK, of your own, says of a version of NAME."""
    said = {"value": value, "message": message, "numbers": dict(numbers)}
    click.echo(json.dumps(client.governance.report(name, version, check, passed, **said), indent=2))


@main.group()
def policy() -> None:
    """What must hold for an alias to name a version."""


@policy.command("set")
@click.argument("name")
@click.argument("alias")
@click.option("--check", "checks", multiple=True, help="Must pass.")
@partition_option
@click.option("--per", multiple=True, metavar="KEY", help="A version for each value of this partition key.")
@click.option("--approvals", type=int, help="So many people must approve it.")
@click.option("--approver", "approvers", multiple=True, help="One of those who may; nobody named: who may decide.")
@click.option("--role", type=click.Choice(["approver", "admin"]), help="Who may move it by hand.")
@click.option("--force-role", type=click.Choice(["approver", "admin"]), help="Who may move it against the policy.")
@click.option("--quiet", multiple=True, metavar="BEGIN-END[@ZONE]", help="No moves then: 22:00-06:00@Europe/Berlin.")
@click.option("--automatic", is_flag=True, help="A newer version that satisfies it is named by itself.")
@click.option("--fall-back", is_flag=True, help="When one of the checks fails: back to the newest that satisfies it.")
@json_anyway
@click.pass_obj
def set_policy(client: Client, /, name: str, alias: str, partitions: dict[str, str], **given: Any) -> None:
    """Govern ALIAS of NAME."""
    rules: dict[str, Any] = {key: one for key, one in given.items() if one not in (None, (), False)}
    rules |= {key: list(rules[key]) for key in ("checks", "per", "approvers") if key in rules}
    if partitions:
        rules["partitions"] = partitions
    if "quiet" in rules:
        rules["quiet"] = [_quiet(text) for text in rules["quiet"]]
    click.echo(json.dumps(client.governance.set_policy(name, alias, **rules), indent=2))


def _quiet(text: str) -> dict[str, str]:
    hours, _, zone = text.partition("@")
    begin, separator, end = hours.partition("-")
    if not separator:
        raise click.BadParameter(f"{text!r} is not BEGIN-END, such as 22:00-06:00@Europe/Berlin")
    return {"begin": begin, "end": end} | ({"timezone": zone} if zone else {})


@policy.command()
@click.argument("name")
@click.argument("alias")
@json_anyway
@click.pass_obj
def show(client: Client, name: str, alias: str) -> None:
    """The policy of ALIAS of NAME, and what of it holds now, as JSON."""
    click.echo(json.dumps(client.governance.policy(name, alias), indent=2))


@policy.command("remove")
@click.argument("name")
@click.argument("alias")
@json_option
@click.pass_obj
def remove_policy(client: Client, name: str, alias: str, as_json: bool) -> None:
    """Let whoever may decide move ALIAS of NAME."""
    client.governance.remove_policy(name, alias)
    say({"name": name, "alias": alias, "policy": None}, f"{name}:{alias} has no policy", as_json=as_json)


@policy.command()
@click.argument("name")
@click.argument("alias")
@click.argument("version")
@json_anyway
@click.pass_obj
def review(client: Client, name: str, alias: str, version: str) -> None:
    """What of the policy of ALIAS of NAME holds for VERSION, with the digest of all there is to look at, as JSON."""
    click.echo(json.dumps(client.governance.review(name, alias, version), indent=2))


@policy.command()
@click.argument("name")
@click.argument("alias")
@click.argument("version")
@click.option("--reject", is_flag=True, help="It may not.")
@click.option("--comment", default="")
@click.option("--digest", default="", help="Of what you looked at: refused where it changed since (policy review).")
@json_option
@click.pass_obj
def approve(
    client: Client, name: str, alias: str, version: str, reject: bool, comment: str, digest: str, as_json: bool
) -> None:
    """Say that ALIAS of NAME may name VERSION."""
    found = client.governance.approve(name, alias, version, approve=not reject, comment=comment, digest=digest)
    said = "may not" if reject else "may"
    say(found, f"{found['actor']} says that {name}:{alias} {said} be {version}", as_json=as_json)


@artifact.command()
@click.argument("name")
@click.argument("version")
@click.option("--reason", required=True)
@click.option("--release", is_flag=True, help="Have queries find it again.")
@json_option
@click.pass_obj
def quarantine(client: Client, name: str, version: str, reason: str, release: bool, as_json: bool) -> None:
    """Have queries and `latest` pass VERSION of NAME over, unless they ask for it."""
    change = client.governance.release if release else client.governance.quarantine
    change(name, version, reason=reason)
    said = "is found again" if release else "is quarantined"
    say(
        {"name": name, "version": version, "quarantined": not release},
        f"{parse(name).name}@{version} {said}",
        as_json=as_json,
    )


@main.command()
@click.option("--kind", default="", help="check.failed, alias.moved ...")
@click.option("--name", default="", help="Of the alias, the check, the signal.")
@click.option("--unfinished", is_flag=True, help="Of which something is tried again, or was given up.")
@click.option("--limit", default=50, show_default=True)
@json_option
@click.pass_obj
def happenings(client: Client, kind: str, name: str, unfinished: bool, limit: int, as_json: bool) -> None:
    """What happened in the project, newest first."""
    asked: dict[str, Any] = {"project": client.project, "domain": client.domain, "kind": kind, "name": name}
    asked["unfinished"] = "true" if unfinished else ""
    rows = []
    for row in client.governance.happenings(**{key: one for key, one in asked.items() if one}):
        rows.append(row)
        if len(rows) >= limit:
            break
    columns = ["at", "kind", "subject", "name", "actor", *(["undone", "retry_at"] if unfinished else [])]
    show_rows(rows, columns, as_json=as_json)
