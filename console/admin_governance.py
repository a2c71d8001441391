"""Checks, policies of aliases, delegations, service levels and holds in the admin panel, by their actions."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from artifacts.actions.holds import set_hold
from artifacts.exceptions import InvalidArgument
from artifacts.governance.checks import Wish, drop_check, set_check
from artifacts.governance.kinds import KINDS
from artifacts.governance.pointers import drop_alias_policy, set_alias_policy
from artifacts.models import AliasPolicy, Artifact, ArtifactVersion, CheckRule, Hold
from console.admin import ActingAdmin, ActingForm
from scheduler.actions.approvers import delegate
from scheduler.actions.levels import set_level
from scheduler.models import Delegation, ServiceLevel


class _OfAnArtifact(ActingForm):
    @property
    def artifact(self) -> Artifact:
        found: Artifact = self.cleaned_data.get("artifact") or self.instance.artifact
        return found


class CheckForm(_OfAnArtifact):
    kind = forms.ChoiceField(choices=lambda: [(kind.name, f"{kind.name}: {kind.words}") for kind in KINDS.values()])
    parameters = forms.JSONField(required=False, initial=dict, help_text="as the kind takes them")
    partitions = forms.JSONField(required=False, initial=dict, help_text="only versions with these values are judged")

    class Meta:
        model = CheckRule
        fields = ("artifact", "name", "kind", "parameters", "partitions", "severity")

    def act(self, *, actor: str) -> Model:
        found = self.cleaned_data
        wish = Wish(
            found.get("name") or self.instance.name,
            found["kind"],
            found["parameters"] or {},
            found["partitions"] or {},
            found["severity"],
        )
        return set_check(self.artifact, wish, actor=actor)


@admin.register(CheckRule)
class CheckAdmin(ActingAdmin):
    """What they said is on the console's page of the artifact."""

    form = CheckForm
    whose = ("artifact", "name")
    list_display = ("name", "artifact", "kind", "severity", "set_by", "set_at")
    list_filter = ("kind", "severity")
    list_select_related = ("artifact",)
    raw_id_fields = ("artifact",)
    search_fields = ("name", "artifact__name")

    def take_away(self, row: CheckRule, *, actor: str) -> None:
        drop_check(row.artifact, row.name, actor=actor)


class PolicyForm(_OfAnArtifact):
    rules = forms.JSONField(
        help_text="checks, partitions, approvals, approvers, role, force_role, quiet, automatic, fall_back"
    )

    class Meta:
        model = AliasPolicy
        fields = ("artifact", "alias", "rules")

    def act(self, *, actor: str) -> Model:
        alias = self.cleaned_data.get("alias") or self.instance.alias
        return set_alias_policy(self.artifact, alias, self.cleaned_data["rules"], actor=actor)


@admin.register(AliasPolicy)
class PolicyAdmin(ActingAdmin):
    """What of them holds is on the console's page of the artifact."""

    form = PolicyForm
    whose = ("artifact", "alias")
    list_display = ("alias", "artifact", "set_by", "set_at")
    list_select_related = ("artifact",)
    raw_id_fields = ("artifact",)
    search_fields = ("alias", "artifact__name")

    def take_away(self, row: AliasPolicy, *, actor: str) -> None:
        drop_alias_policy(row.artifact, row.alias, actor=actor)


class KeptAdmin(ActingAdmin):
    """What was said stays to be seen: it is ended on the console's pages, with a reason where it takes one."""

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class DelegationForm(ActingForm):
    starts_at = forms.DateTimeField(required=False, help_text="in UTC; now, if left out")
    ends_at = forms.DateTimeField(help_text="in UTC")

    class Meta:
        model = Delegation
        fields = ("giver", "to", "project", "starts_at", "ends_at", "reason")

    def act(self, *, actor: str) -> Model:
        return delegate(**self.cleaned_data, actor=actor)


@admin.register(Delegation)
class DelegationAdmin(KeptAdmin):
    form = DelegationForm
    list_display = ("giver", "to", "project", "starts_at", "ends_at", "revoked_at", "created_by")
    list_filter = ("project",)
    search_fields = ("giver", "to")


class LevelForm(ActingForm):
    partitions = forms.JSONField(required=False, initial=dict, help_text="of an artifact: only versions with these")
    seconds = forms.FloatField(required=False, help_text="the greatest age, or the longest time")

    class Meta:
        model = ServiceLevel
        fields = ("project", "domain", "kind", "name", "partitions", "time", "zone", "seconds")

    def act(self, *, actor: str) -> Model:
        found: dict[str, Any] = {**self.cleaned_data, "kind": ServiceLevel.Kind(self.cleaned_data["kind"])}
        return set_level(**found, actor=actor)


@admin.register(ServiceLevel)
class LevelAdmin(KeptAdmin):
    """How they are kept is on the console's page of service levels."""

    form = LevelForm
    list_display = ("name", "project", "domain", "kind", "words", "removed_at", "set_by", "set_at")
    list_filter = ("kind", "project")
    search_fields = ("name",)


class HoldForm(ActingForm):
    class Meta:
        model = Hold
        fields = ("kind", "artifact", "version", "reason")

    def act(self, *, actor: str) -> Model:
        found = self.cleaned_data
        artifact: Artifact = found["artifact"]
        version: ArtifactVersion | None = found["version"]
        if version is not None and version.artifact_id != artifact.pk:
            raise InvalidArgument(f"{version} is no version of {artifact}")
        return set_hold(
            Hold.Kind(found["kind"]), artifact=artifact, version=version, reason=found["reason"], actor=actor
        )


@admin.register(Hold)
class HoldAdmin(KeptAdmin):
    form = HoldForm
    list_display = ("kind", "artifact", "version", "set_by", "set_at", "released_at")
    list_filter = ("kind",)
    list_select_related = ("artifact", "version__artifact")
    raw_id_fields = ("artifact", "version")
    search_fields = ("artifact__name", "reason")
