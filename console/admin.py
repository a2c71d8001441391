"""The admin panel is for superusers alone: what everybody does is in the console."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import yaml
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect

from artifacts.exceptions import AlreadyExists, CausewayError, InvalidArgument
from artifacts.models import Artifact
from audit.record import record
from console.quotas import access_quota
from scheduler.actions import clusters, connections, connectors, prices, quotas
from scheduler.actions.projects import check_new, create_project, update_project
from scheduler.models import (
    ClusterSettings,
    Connection,
    ConnectorSettings,
    Execution,
    LaunchPlan,
    Price,
    Project,
    Quota,
    Trigger,
)

admin.site.site_header = "Causeway administration"
admin.site.site_title = "Causeway"
admin.site.index_title = "Administration"
admin.site.unregister(Group)  # rights are role bindings


_CHANGED = "causeway_changed_fields"  # on the request: the names of what a form changed
_FORM_FIELDS = {"password1": "password", "password2": "password", "usable_password": "password"}


def actor_of(request: HttpRequest) -> str:
    return request.user.get_username()


def is_superuser(request: HttpRequest) -> bool:
    user = request.user
    return bool(user.is_active and user.is_staff and getattr(user, "is_superuser", False))


class SuperuserAdmin:
    """Mixed into a ModelAdmin: staff who are no superusers see nothing, whatever permissions rows say.

    What is changed here stands in the audit trail, in its transaction: `user.create`, `user.update` with the names of
    the fields, `user.delete`. `audits` is False where the actions that the forms call write their rows themselves.
    """

    audits: ClassVar[bool] = True

    def changeform_view(self, *args: Any, **options: Any) -> Any:
        return self._told(args[0], lambda: super(SuperuserAdmin, self).changeform_view(*args, **options))  # type: ignore[misc]

    def changelist_view(self, *args: Any, **options: Any) -> Any:
        return self._told(args[0], lambda: super(SuperuserAdmin, self).changelist_view(*args, **options))  # type: ignore[misc]

    def delete_view(self, *args: Any, **options: Any) -> Any:
        return self._told(args[0], lambda: super(SuperuserAdmin, self).delete_view(*args, **options))  # type: ignore[misc]

    @staticmethod
    def _told(request: HttpRequest, view: Callable[[], HttpResponseBase]) -> HttpResponseBase:
        """What an action refuses although the form was fine, because somebody else was first, is said on the page."""
        try:
            with transaction.atomic():
                return view()
        except CausewayError as error:
            messages.error(request, error.message)
            return redirect(request.get_full_path())

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        setattr(request, _CHANGED, sorted({_FORM_FIELDS.get(name, name) for name in form.changed_data}))
        message: Any = super().construct_change_message(request, form, formsets, add)  # type: ignore[misc]
        return message

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self._record(request, "create", obj)
        return super().log_addition(request, obj, message)  # type: ignore[misc]

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        if changed := getattr(request, _CHANGED, []):
            self._record(request, "update", obj, changed=changed, **self.told_of(obj, changed))
        return super().log_change(request, obj, message)  # type: ignore[misc]

    def log_deletions(self, request: HttpRequest, queryset: Iterable[Model]) -> Any:
        rows = list(queryset)
        for row in rows:
            self._record(request, "delete", row)
        return super().log_deletions(request, rows)  # type: ignore[misc]

    def told_of(self, obj: Any, changed: Collection[str]) -> dict[str, object]:
        """New values that belong into the trail."""
        return {}

    def _record(self, request: HttpRequest, what: str, obj: Model, **detail: object) -> None:
        if self.audits:
            record(actor_of(request), f"{obj._meta.model_name}.{what}", obj, detail=detail)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return is_superuser(request)

    def has_add_permission(self, request: HttpRequest, *args: object) -> bool:
        return is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return is_superuser(request)


class ReadOnlyAdmin(SuperuserAdmin):
    """Facts: to be looked at, never edited by hand."""

    def has_add_permission(self, request: HttpRequest, *args: object) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ProjectForm(forms.ModelForm):  # type: ignore[type-arg]
    def clean(self) -> dict[str, Any] | None:
        found = super().clean() or self.cleaned_data
        texts = {name: found[name] for name in ("name", "description", "labels") if name in found}
        try:
            check_new(Project(identifier=found.get("identifier", self.instance.identifier), **texts))
        except InvalidArgument as error:
            raise forms.ValidationError(error.message) from error
        return found


@admin.register(Project)
class ProjectAdmin(SuperuserAdmin, admin.ModelAdmin):  # type: ignore[type-arg]
    audits = False
    form = ProjectForm
    list_display = ("identifier", "name", "state", "created_at")
    list_filter = ("state",)
    search_fields = ("identifier", "name")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return ("identifier",) if obj is not None else ()

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # archived instead: what ran in it stays

    def save_model(self, request: HttpRequest, obj: Project, form: Any, change: bool) -> None:
        """As over REST and gRPC, with the same checks and the same row in the audit trail."""
        given = {name: form.cleaned_data[name] for name in ("name", "description", "labels", "state")}
        if change:
            update_project(obj, **given, actor=actor_of(request))
            return
        state = given.pop("state")
        made = create_project(identifier=obj.identifier, **given, actor=actor_of(request))
        obj.pk = update_project(made, state=state, actor=actor_of(request)).pk


class DescribedForm(forms.ModelForm):  # type: ignore[type-arg]
    """Of what is set by a description, which people see as YAML (console.described)."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.instance.pk is not None and not self.is_bound:
            self.initial["description"] = yaml.safe_dump(self.instance.description, sort_keys=False)


class DescribedAdmin(SuperuserAdmin, admin.ModelAdmin):  # type: ignore[type-arg]
    """Of the same: the name stays, and what is removed is removed on the console's page."""

    audits = False
    list_display = ("name", "updated_by", "updated_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return ("name",) if obj is not None else ()

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ClusterForm(DescribedForm):
    """As on the page of clusters; what was set of the kubeconfig is not shown."""

    description = forms.CharField(
        widget=forms.Textarea, required=False, help_text="YAML: image, namespace, tolerations, log_links and so on"
    )
    kubeconfig = forms.CharField(
        widget=forms.Textarea, required=False, strip=False, help_text="its text, flattened; empty: as it was"
    )

    class Meta:
        model = ClusterSettings
        fields = ("name", "description")

    def clean(self) -> dict[str, Any] | None:
        found = super().clean() or self.cleaned_data
        name = found.get("name", self.instance.name)
        try:
            found["description"] = clusters.read_description(found.get("description", ""))
            clusters.check_change(name, found["description"], found.get("kubeconfig") or None)
        except (InvalidArgument, AlreadyExists) as error:
            raise forms.ValidationError(error.message) from error
        return found


@admin.register(ClusterSettings)
class ClusterAdmin(DescribedAdmin):
    """What they have, and whether they are alive, is on the console's page of clusters; there they are removed."""

    form = ClusterForm

    def save_model(self, request: HttpRequest, obj: ClusterSettings, form: Any, change: bool) -> None:
        given = form.cleaned_data
        row, _ = clusters.set_cluster(
            obj.name, given["description"], kubeconfig_text=given.get("kubeconfig") or None, actor=actor_of(request)
        )
        obj.pk = row.pk


@contextmanager
def tried() -> Iterator[None]:
    """What is done within is done as it will be, and not kept. Raises ValidationError with why it cannot be."""
    try:
        with transaction.atomic():
            yield
            transaction.set_rollback(True)
    except CausewayError as error:
        raise forms.ValidationError(error.message) from error


class ActingForm(forms.ModelForm):  # type: ignore[type-arg]
    """What is typed is tried, and then done, by the action that does it everywhere."""

    def act(self, *, actor: str) -> Model:
        """Do it, with what `cleaned_data` holds: the row. Errors of ours are shown above the form."""
        raise NotImplementedError

    def clean(self) -> dict[str, Any] | None:
        found = super().clean() or self.cleaned_data
        if not self.errors:
            with tried():
                self.act(actor="system:check")
        return found


class ActingAdmin(SuperuserAdmin, admin.ModelAdmin):  # type: ignore[type-arg]
    """Of the same. What says whose a row is (`whose`) stays; what `take_away` refuses stays too, and is said why."""

    audits = False
    whose: ClassVar[tuple[str, ...]] = ()

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return self.whose if obj is not None else ()

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        obj.pk = form.act(actor=actor_of(request)).pk
        obj.refresh_from_db()

    def take_away(self, row: Any, *, actor: str) -> None:
        raise NotImplementedError

    def get_deleted_objects(self, objs: Iterable[Model], request: HttpRequest) -> Any:
        *found, protected = super().get_deleted_objects(objs, request)  # type: ignore[arg-type]
        for row in objs:
            try:
                with tried():
                    self.take_away(row, actor="system:check")
            except forms.ValidationError as error:
                protected = [*protected, *error.messages]
        return (*found, protected)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        self.take_away(obj, actor=actor_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: Iterable[Model]) -> None:
        for row in queryset:
            self.delete_model(request, row)


class ConnectionForm(ActingForm):
    """As on the page of connections; what is sealed is not shown."""

    port = forms.IntegerField(required=False, min_value=1, max_value=connections.MOST_PORT)
    options = forms.JSONField(required=False, initial=dict)
    password = forms.CharField(
        required=False, strip=False, widget=forms.PasswordInput, help_text="empty: what was set stays"
    )

    class Meta:
        model = Connection
        fields = ("project", "domain", "name", "kind", "host", "port", "user", "database", "options")

    def wanted(self) -> connections.Wanted:
        found = self.cleaned_data
        secrets = {"password": found["password"]} if found.get("password") else {}
        plain = {name: found.get(name) or "" for name in ("kind", "host", "user", "database")}
        return connections.Wanted(**plain, port=found.get("port"), options=found.get("options") or {}, secrets=secrets)

    def act(self, *, actor: str) -> Model:
        found = self.cleaned_data
        place = {name: found.get(name, getattr(self.instance, name)) for name in ("project", "domain")}
        name = found.get("name", self.instance.name)
        return connections.set_connection(name, self.wanted(), **place, actor=actor)[0]


@admin.register(Connection)
class ConnectionAdmin(ActingAdmin):
    """Secrets beside the password are set on the console's page."""

    form = ConnectionForm
    whose = ("project", "domain", "name")
    list_display = ("name", "project", "domain", "kind", "host", "updated_by", "updated_at")
    list_filter = ("project", "domain")
    search_fields = ("name", "host")

    def take_away(self, row: Connection, *, actor: str) -> None:
        connections.remove_connection(row, actor=actor)


class ConnectorForm(DescribedForm):
    """As on the page of connectors."""

    description = forms.CharField(widget=forms.Textarea, help_text="YAML: endpoint, task_types, projects and so on")

    class Meta:
        model = ConnectorSettings
        fields = ("name", "description")

    def clean(self) -> dict[str, Any] | None:
        found = super().clean() or self.cleaned_data
        try:
            found["description"] = connectors.read_description(found.get("description", ""))
            connectors.check(found.get("name", self.instance.name), found["description"])
        except (InvalidArgument, AlreadyExists) as error:
            raise forms.ValidationError(error.message) from error
        return found


@admin.register(ConnectorSettings)
class ConnectorAdmin(DescribedAdmin):
    """What they run, and whether they answer, is on the console's page of connectors; there they are removed."""

    form = ConnectorForm

    def save_model(self, request: HttpRequest, obj: ConnectorSettings, form: Any, change: bool) -> None:
        row, _ = connectors.set_connector(obj.name, form.cleaned_data["description"], actor=actor_of(request))
        obj.pk = row.pk


class QuotaForm(ActingForm):
    """As on the page of quotas: amounts are numbers or quantities such as 16Gi."""

    limit = forms.CharField(help_text="a number, or a quantity of Kubernetes such as 500m or 16Gi")
    guaranteed = forms.CharField(initial="0", help_text="of the limit: kept free for this scope in wider quotas")

    class Meta:
        model = Quota
        fields = (
            "scope",
            "project",
            "domain",
            "user",
            "launch_plan",
            "resource",
            "window",
            "limit",
            "warn_at",
            "guaranteed",
            "borrows_from",
            "valid_from",
            "valid_until",
        )

    def act(self, *, actor: str) -> Model:
        found = self.cleaned_data
        given = {name: found.get(name, getattr(self.instance, name)) for name in self.Meta.fields}
        names = ("project", "domain", "user", "launch_plan")
        lender = given.pop("borrows_from")
        scope = quotas.scope_of(given.pop("scope"), **{name: given.pop(name) for name in names})
        wanted = quotas.Wanted(scope=scope, borrows_from=lender.pk if lender else "", **given)
        return quotas.set_quota(wanted, by=quotas.Setter(actor, platform=True))[0]


class PriceForm(ActingForm):
    per_hour = forms.CharField(help_text="of a core, a GiB, a device, an attempt")
    valid_from = forms.DateTimeField(required=False, help_text="in UTC; now, if left out")

    class Meta:
        model = Price
        fields = ("resource", "per_hour", "currency", "valid_from")

    def act(self, *, actor: str) -> Model:
        return prices.set_price(**self.cleaned_data, actor=actor)


@admin.register(Price)
class PriceAdmin(ActingAdmin):
    """A price is set anew rather than changed: what was said before stays to be seen."""

    form = PriceForm
    list_display = ("resource", "per_hour", "currency", "valid_from", "set_by", "set_at")
    list_filter = ("resource",)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def take_away(self, row: Price, *, actor: str) -> None:
        prices.remove_price(row.pk, actor=actor)


@admin.register(Quota)
class QuotaAdmin(ActingAdmin):
    """What is in use is on the console's page of quotas."""

    form = QuotaForm
    whose = ("scope", "project", "domain", "user", "launch_plan", "resource", "window")
    list_display = ("subject", "resource", "limit", "window", "guaranteed", "valid_until", "updated_by", "updated_at")
    list_filter = ("scope", "resource", "project")

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if warning := access_quota(request.user, obj.pk).warning:  # type: ignore[arg-type] # a superuser of ours
            messages.warning(request, warning)

    def take_away(self, row: Quota, *, actor: str) -> None:
        quotas.remove_quota(row.pk, by=quotas.Setter(actor, platform=True))


@admin.register(LaunchPlan)
class LaunchPlanAdmin(ReadOnlyAdmin, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("name", "version", "project", "domain", "state", "created_at")
    list_filter = ("state", "project", "domain")
    search_fields = ("name",)
    fields = ("project", "domain", "name", "version", "workflow", "state", "state_changed_at", "created_at")
    show_full_result_count = False


@admin.register(Execution)
class ExecutionAdmin(ReadOnlyAdmin, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("name", "project", "domain", "phase", "mode", "principal", "created_at", "ended_at")
    list_filter = ("phase", "mode", "domain")
    search_fields = ("=name",)
    fields = (*list_display, "launch_plan", "workflow", "inputs_uri", "outputs_uri", "abort_cause", "dirty", "wake_at")
    ordering = ("-created_at", "-id")
    show_full_result_count = False


@admin.register(Trigger)
class TriggerAdmin(ReadOnlyAdmin, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("launch_plan", "artifact_project", "artifact_domain", "artifact_name", "active", "activated_at")
    list_filter = ("active",)
    list_select_related = ("launch_plan",)
    search_fields = ("artifact_name", "launch_plan__name")
    fields = (*list_display, "partitions")


@admin.register(Artifact)
class ArtifactAdmin(ReadOnlyAdmin, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("name", "project", "domain", "kind", "partition_keys", "created_at")
    list_filter = ("kind", "domain")
    search_fields = ("name",)


from console import admin_governance  # noqa: E402, F401 - its forms are of what stands above
