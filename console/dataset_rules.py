"""Naming rules of datasets, by the rights of who asks: read by those who read the place, made by its administrators."""

from __future__ import annotations

from django.db.models import QuerySet

from artifacts.exceptions import NotFound
from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import User
from lineage.actions.dataset_rules import Wanted, change_rule, make_rule, remove_rule
from lineage.models import DatasetRule
from scheduler.actions.identifiers import check_project


def visible(user: User) -> QuerySet[DatasetRule]:
    return DatasetRule.objects.filter(access.readable(user))


def find(user: User, pk: int) -> DatasetRule:
    rule = visible(user).filter(pk=pk).first()
    if rule is None:
        raise NotFound(f"no naming rule {pk} where you read")
    return rule


def make(project: str, domain: str, wanted: Wanted, *, actor: User) -> DatasetRule:
    access.require_found(actor, Action.ADMIN, project, domain, what=f"project {project} with domain {domain}")
    check_project(project, domain)
    return make_rule(project, domain, wanted, actor=actor.get_username())


def change(rule: DatasetRule, wanted: Wanted, *, actor: User) -> DatasetRule:
    access.require(actor, Action.ADMIN, rule.project, rule.domain)
    return change_rule(rule, wanted, actor=actor.get_username())


def remove(rule: DatasetRule, *, actor: User) -> None:
    access.require(actor, Action.ADMIN, rule.project, rule.domain)
    remove_rule(rule, actor=actor.get_username())
