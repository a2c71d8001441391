"""What validators of data said while an attempt ran, as checks of the versions that it read.

The SDK leaves it beside the outputs (causeway.validators): rows of a check's name and what it says, with the id of the
version where it is about one. What is about none kept the task from publishing: that is a happening of the execution.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from django.db import OperationalError, transaction

from artifacts.exceptions import CausewayError, InvalidArgument, NotFound
from artifacts.governance.checks import Report, read_report, report, verdict_of
from artifacts.governance.reading import Members
from artifacts.happenings import CHECK_FAILED, happened
from artifacts.models import ArtifactVersion, CheckResult, CheckRule, CheckStatus, Severity
from artifacts.store import store
from lineage.models import VersionEdge, VersionRole
from scheduler.authority import Action, Authority
from scheduler.models import Execution
from scheduler.uris import CHECKS

logger = logging.getLogger(__name__)
MAX_SAID, MAX_BYTES = 100, 1024**2  # rows of an attempt, and their document


@dataclass(frozen=True)
class Said:
    report: Report
    version_id: int | None = None


def read(document: bytes) -> list[Said]:
    """InvalidArgument for what the SDK does not write: a task may leave anything."""
    try:
        rows = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"it is not JSON: {error}") from error
    if not isinstance(rows, list) or len(rows) > MAX_SAID:
        raise InvalidArgument(f"it is not a list of at most {MAX_SAID} rows")
    return [_read(row) for row in rows]


def _read(row: object) -> Said:
    members = Members(row, "a row of it")
    version, said = members.whole("version", least=1, most=2**63 - 1), members.mapping_of_any("said")
    name = members.text("check", required=True)
    members.done()
    return Said(read_report(name, said), version)


def keep(execution: Execution, decks: Mapping[int, str], authority: Authority) -> None:
    """Of attempts that ended, by their ids with where their decks lie: what was said lies beside them. In the
    transaction that takes the ends into account, so once. What cannot be kept is told in the log, and stops nothing.
    """
    for attempt_id, deck in decks.items():
        for one in _said(deck, attempt_id):
            try:
                with transaction.atomic():
                    _keep(one, execution, attempt_id, authority)
            except OperationalError:
                raise  # the database itself: the turn is taken again
            except CausewayError as error:
                logger.warning("what validators said in attempt %s is not kept: %s", attempt_id, error.message)
            except Exception:
                logger.exception("what validators said in attempt %s is not kept", attempt_id)


def _said(deck: str, attempt_id: int) -> list[Said]:
    """Nothing where nothing was said, or nothing that can be read."""
    try:
        with store().open(store().join(deck.rpartition("/")[0], CHECKS)) as stream:
            return read(bytes(stream.read(MAX_BYTES)))
    except NotFound:
        return []
    except CausewayError as error:
        logger.warning("what validators said in attempt %s cannot be read: %s", attempt_id, error.message)
    except Exception:
        logger.exception("what validators said in attempt %s cannot be read", attempt_id)
    return []


def _keep(said: Said, execution: Execution, attempt_id: int, authority: Authority) -> None:
    """Who says it needs the right that reporting a check over REST needs. What somebody else said stays: where the
    artifact has a check of that name one may say worse of a version, but nobody makes good what another found.
    """
    actor = execution.principal or "system:checks"
    if said.version_id is None:
        _stopped(said.report, execution, attempt_id, actor)
        return
    version = _read_by(said.version_id, execution)
    if version is None:
        raise InvalidArgument(f"{execution.key} did not read the version {said.version_id} of its project and domain")
    authority.require(Action.PUBLISH, [(execution.project, execution.domain)], what=", so report no checks")
    found = said.report
    there = CheckResult.objects.filter(version=version, name=found.name).exclude(status=CheckStatus.PENDING).first()
    has_rule = CheckRule.objects.filter(artifact=version.artifact_id, name=found.name).exists()
    if there is not None and there.actor != actor and (not has_rule or there.status == CheckStatus.FAILED):
        return
    if not has_rule:
        found = replace(found, severity=Severity.WARN)  # one reader's wish holds up nobody else
    status = CheckStatus.PASSED if found.passed else CheckStatus.FAILED
    if there is None or (there.status, there.message) != (status, found.message):
        report(version, found, actor=actor)


def _read_by(version_id: int, execution: Execution) -> ArtifactVersion | None:
    consumed = VersionEdge.objects.filter(
        version=version_id, execution_key=execution.key, role=VersionRole.CONSUMED
    ).exists()
    place = {"artifact__project": execution.project, "artifact__domain": execution.domain}
    rows = ArtifactVersion.objects.select_related("artifact").defer("card", "terms", "literal", "literal_type")
    return rows.filter(pk=version_id, **place).first() if consumed else None


def _stopped(found: Report, execution: Execution, attempt_id: int, actor: str) -> None:
    """The task failed by it, and published nothing that the check could be a check of."""
    verdict = verdict_of(found, {})
    happened(
        CHECK_FAILED,
        actor=actor,
        key=f"said:{attempt_id}:{found.name}",
        place=(execution.project, execution.domain),
        subject=execution.key,
        execution_key=execution.key,
        name=found.name,
        detail={
            "kind": "reported",
            "message": verdict.message,
            "numbers": dict(verdict.numbers),
            "evidence": dict(verdict.evidence),
        },
    )
