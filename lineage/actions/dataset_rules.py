"""Naming rules are made, changed and removed, by those who administer the place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.db import transaction

from artifacts.exceptions import FailedPrecondition, InvalidArgument
from artifacts.names import check_place
from audit.record import record
from lineage.models import DatasetRule
from lineage.outside.rules import Rule, check_rule

MAX_RULES = 200  # of one place: each new dataset is compared with all of them
SHAPES = ("dataset", "file", "directory")
TIMES = ("", "minute", "hour", "day", "month")


@dataclass(frozen=True)
class Wanted:
    """A rule as it is to be; members as those of DatasetRule."""

    namespace: str
    name: str
    artifact: str
    partitions: Mapping[str, str] = field(default_factory=dict)
    position: int = 100
    shape: str = "dataset"
    format: str = ""
    by_time: str = ""

    def check(self) -> None:
        """InvalidArgument for patterns and templates that cannot be meant."""
        check_rule(Rule(self.namespace, self.name, self.artifact, tuple(self.partitions.items())))
        if len(self.artifact) > 255:
            raise InvalidArgument("artifact: a template has at most 255 characters")
        for what, value, known in (("shape", self.shape, SHAPES), ("by_time", self.by_time, TIMES)):
            if value not in known:
                raise InvalidArgument(f"{what} must be one of: {', '.join(one for one in known if one)}")
        if not 0 <= self.position <= 1_000_000:
            raise InvalidArgument("position is a number from 0 to 1000000")
        if len(self.format) > 40:
            raise InvalidArgument("format has at most 40 characters")


def make_rule(project: str, domain: str, wanted: Wanted, *, actor: str) -> DatasetRule:
    """It counts for what is told from now on. InvalidArgument; FailedPrecondition for more than MAX_RULES."""
    check_place(project, domain)
    wanted.check()
    with transaction.atomic():
        if DatasetRule.objects.filter(project=project, domain=domain).count() >= MAX_RULES:
            raise FailedPrecondition(f"{project}/{domain} has {MAX_RULES} naming rules: remove some, or join them")
        rule = DatasetRule.objects.create(project=project, domain=domain, created_by=actor, **_columns(wanted))
        _record(actor, "dataset_rule.create", rule)
    return rule


def change_rule(rule: DatasetRule, wanted: Wanted, *, actor: str) -> DatasetRule:
    """What it made before stays."""
    wanted.check()
    with transaction.atomic():
        for column, value in _columns(wanted).items():
            setattr(rule, column, value)
        rule.save(update_fields=[*_columns(wanted)])
        _record(actor, "dataset_rule.change", rule)
    return rule


def remove_rule(rule: DatasetRule, *, actor: str) -> None:
    """What it made stays."""
    with transaction.atomic():
        if DatasetRule.objects.filter(pk=rule.pk).delete()[0]:  # of two at once one did it
            _record(actor, "dataset_rule.remove", rule)


def wanted_of(rule: DatasetRule) -> Wanted:
    """The rule as it is, to be changed from."""
    return Wanted(
        rule.namespace,
        rule.name,
        rule.artifact,
        rule.partitions,
        rule.position,
        rule.shape,
        rule.format,
        rule.by_time,
    )


def _columns(wanted: Wanted) -> dict[str, object]:
    return {
        "namespace": wanted.namespace,
        "name": wanted.name,
        "artifact": wanted.artifact,
        "partitions": dict(wanted.partitions),
        "position": wanted.position,
        "shape": wanted.shape,
        "format": wanted.format,
        "by_time": wanted.by_time,
    }


def _record(actor: str, verb: str, rule: DatasetRule) -> None:
    record(actor, verb, f"{rule.namespace} {rule.name}"[:400], project=rule.project, domain=rule.domain)
