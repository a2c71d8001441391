from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.db.models import Model
from django.http import HttpRequest

from artifacts.exceptions import CausewayError, InvalidArgument
from audit.models import AuditEvent
from console.accounts import roles, sessions, sign_ins, sign_on, tokens
from console.accounts.models import ApiToken, GroupRole, Identity, Reader, RoleBinding, User
from console.accounts.scopes import SCOPES
from console.admin import ReadOnlyAdmin, SuperuserAdmin, actor_of, tried
from console.sqlviews import readers
from lineage.actions.dataset_rules import Wanted, change_rule, make_rule, remove_rule
from lineage.models import DatasetRule
from scheduler.actions.identifiers import check_project

WANTED = ("namespace", "name", "artifact", "partitions", "position", "shape", "format", "by_time")


class RoleBindingForm(forms.ModelForm):  # type: ignore[type-arg]
    def clean(self) -> dict[str, Any] | None:
        found = super().clean() or self.cleaned_data
        try:
            roles.check_scope(found.get("project", ""), found.get("domain", ""))
        except InvalidArgument as error:
            raise forms.ValidationError(error.message) from error
        return found


class RoleBindingInline(admin.TabularInline):  # type: ignore[type-arg]
    model = RoleBinding
    form = RoleBindingForm
    extra = 0


class BindingsInTheTrail:
    """Mixed into a ModelAdmin whose forms give and take roles: `role.bind` and `role.unbind`, as over REST."""

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        before = {row.pk: row for row in RoleBinding.objects.filter(user=form.instance).select_related("user")}
        super().save_formset(request, form, formset, change)  # type: ignore[misc]
        if formset.model is not RoleBinding:
            return
        taken = [*formset.deleted_objects, *(before[row.pk] for row, _ in formset.changed_objects)]
        for row in taken:
            roles.record_binding(actor_of(request), "role.unbind", row)
        for row in (*formset.new_objects, *(row for row, _ in formset.changed_objects)):
            roles.record_binding(actor_of(request), "role.bind", row)


@admin.register(User)
class CausewayUserAdmin(BindingsInTheTrail, SuperuserAdmin, UserAdmin):  # type: ignore[type-arg]
    """People and service accounts. Roles are bindings; Django's groups and permissions are not used."""

    list_display = ("username", "email", "is_active", "is_superuser", "service_of", "last_login")
    list_filter = ("is_active", "is_superuser", "service_of")
    readonly_fields = ("service_of",)
    actions = ("end_sessions",)
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser", "service_of")}),
    )
    inlines = (RoleBindingInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A name stays: executions, triggers, quotas and the trail know people by it."""
        return (*self.readonly_fields, *(("username",) if obj is not None else ()))

    def told_of(self, obj: User, changed: Collection[str]) -> dict[str, object]:
        return {name: getattr(obj, name) for name in ("is_active", "is_staff", "is_superuser") if name in changed}

    @admin.action(description="End all sessions of the selected users")
    def end_sessions(self, request: HttpRequest, queryset: Any) -> None:
        """Browsers and programs; tokens that they made themselves stay."""
        ended = 0
        for user in queryset:
            ended += sessions.end_all(user, actor=actor_of(request)) + sign_ins.end_all(user, actor=actor_of(request))
        messages.success(request, f"{ended} sessions have ended.")


class GroupRoleForm(RoleBindingForm):
    class Meta:
        model = GroupRole
        fields = ("group", "role", "project", "domain")


@admin.register(GroupRole)
class GroupRoleAdmin(SuperuserAdmin, admin.ModelAdmin):  # type: ignore[type-arg]
    """What groups of single sign-on give: given when members log in, taken when a group gives it no more."""

    form = GroupRoleForm
    list_display = ("group", "role", "project", "domain")
    list_filter = ("role", "project")
    search_fields = ("group",)

    def save_model(self, request: HttpRequest, obj: GroupRole, form: Any, change: bool) -> None:
        before = GroupRole.objects.filter(pk=obj.pk).first()
        super().save_model(request, obj, form, change)
        if before is not None and str(before) != str(obj):
            sign_on.take_back(before, actor=actor_of(request))

    def delete_model(self, request: HttpRequest, obj: GroupRole) -> None:
        sign_on.take_back(obj, actor=actor_of(request))
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for row in queryset:
            self.delete_model(request, row)


@admin.register(Identity)
class IdentityAdmin(ReadOnlyAdmin, admin.ModelAdmin):  # type: ignore[type-arg]
    """Whom accounts are at the provider of single sign-on."""

    audits = False  # the action does
    list_display = ("user", "issuer", "subject", "created_at")
    list_select_related = ("user",)
    search_fields = ("user__username", "subject")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return SuperuserAdmin.has_delete_permission(self, request, obj)

    def delete_model(self, request: HttpRequest, obj: Identity) -> None:
        sign_on.unlink(obj, actor=actor_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for row in queryset.select_related("user"):
            self.delete_model(request, row)


@admin.register(RoleBinding)
class RoleBindingAdmin(SuperuserAdmin, admin.ModelAdmin):  # type: ignore[type-arg]
    audits = False
    form = RoleBindingForm
    list_display = ("user", "role", "project", "domain", "created_at")
    list_filter = ("role", "project")
    list_select_related = ("user",)
    autocomplete_fields = ("user",)

    def save_model(self, request: HttpRequest, obj: RoleBinding, form: Any, change: bool) -> None:
        before = RoleBinding.objects.select_related("user").filter(pk=obj.pk).first()
        super().save_model(request, obj, form, change)
        if before is not None:
            roles.record_binding(actor_of(request), "role.unbind", before)
        roles.record_binding(actor_of(request), "role.bind", obj)

    def delete_model(self, request: HttpRequest, obj: RoleBinding) -> None:
        roles.record_binding(actor_of(request), "role.unbind", obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for row in queryset.select_related("user"):
            self.delete_model(request, row)


class TokenForm(forms.ModelForm):  # type: ignore[type-arg]
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in SCOPES],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None: whatever the user may do.",
    )


@admin.register(ApiToken)
class ApiTokenAdmin(SuperuserAdmin, admin.ModelAdmin):  # type: ignore[type-arg]
    """The secret is shown once, in the message after saving. Tokens are revoked, not deleted."""

    audits = False
    list_display = ("name", "user", "scopes", "project", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_select_related = ("user",)
    form = TokenForm
    fields = ("user", "name", "expires_at", "scopes", "project")
    autocomplete_fields = ("user",)
    actions = ("revoke",)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        made, secret = tokens.create(
            obj.user, obj.name, obj.expires_at, scopes=obj.scopes, project=obj.project, actor=actor_of(request)
        )
        obj.pk, obj.digest = made.pk, made.digest
        messages.warning(request, f"The token, shown this once: {secret}")

    @admin.action(description="Revoke the selected tokens")
    def revoke(self, request: HttpRequest, queryset: Any) -> None:
        for token in queryset.select_related("user"):
            tokens.revoke(token, actor=actor_of(request))


class ReaderForm(forms.ModelForm):  # type: ignore[type-arg]
    places = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What it sees, one a line: weather, weather/production, or * for everything.",
    )

    class Meta:
        model = Reader
        fields = ("name", "description", "statement_seconds", "connections")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.instance.pk is not None and not self.is_bound:
            self.initial["places"] = "\n".join(readers.names(list(self.instance.scopes.all())))

    def clean(self) -> dict[str, Any] | None:
        found = super().clean() or self.cleaned_data
        if self.errors:
            return found
        lines = [line.strip() for line in found["places"].splitlines() if line.strip()]
        found["wanted"] = [readers.place_of(line) for line in lines]
        try:
            found["limits"] = readers.Limits(found["statement_seconds"], found["connections"])
            readers.check(found.get("name", self.instance.name), found["wanted"])
        except CausewayError as error:
            raise forms.ValidationError(error.message) from error
        return found


@admin.register(Reader)
class ReaderAdmin(SuperuserAdmin, admin.ModelAdmin):  # type: ignore[type-arg]
    """Login roles that read the SQL views. The password is shown once, in the message after saving."""

    audits = False
    form = ReaderForm
    list_display = ("name", "role", "statement_seconds", "connections", "created_by", "created_at")
    actions = ("rotate",)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return ("name", "description") if obj is not None else ()

    def save_model(self, request: HttpRequest, obj: Reader, form: Any, change: bool) -> None:
        given, actor = form.cleaned_data, cast(User, request.user)
        if change:
            readers.change(obj, places=given["wanted"], limits=given["limits"], actor=actor)
            return
        made, secret = readers.make(
            obj.name, given["wanted"], limits=given["limits"], description=obj.description, actor=actor
        )
        obj.pk = made.pk
        messages.warning(request, f"{made.role}'s password, shown this once: {secret}")

    def delete_model(self, request: HttpRequest, obj: Reader) -> None:
        readers.remove(obj, actor=cast(User, request.user))

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for row in queryset:
            self.delete_model(request, row)

    @admin.action(description="Give the selected readers new passwords")
    def rotate(self, request: HttpRequest, queryset: Any) -> None:
        for row in queryset:
            secret = readers.rotate(row, actor=cast(User, request.user))
            messages.warning(request, f"{row.role}'s password, shown this once: {secret}")


class DatasetRuleForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = DatasetRule
        fields = ("project", "domain", *WANTED)

    def clean(self) -> dict[str, Any] | None:
        found = super().clean() or self.cleaned_data
        if self.errors:
            return found
        place = [found.get(name, getattr(self.instance, name)) for name in ("project", "domain")]
        with tried():
            check_project(*place)
            found["wanted"] = Wanted(**{name: found[name] for name in WANTED})
            found["wanted"].check()
        return found


@admin.register(DatasetRule)
class DatasetRuleAdmin(SuperuserAdmin, admin.ModelAdmin):  # type: ignore[type-arg]
    """Which datasets that other systems tell of become artifacts. What a rule made stays when it goes."""

    audits = False
    form = DatasetRuleForm
    list_display = ("namespace", "name", "artifact", "project", "domain", "position", "created_by", "created_at")
    list_filter = ("project", "domain")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return ("project", "domain") if obj is not None else ()

    def save_model(self, request: HttpRequest, obj: DatasetRule, form: Any, change: bool) -> None:
        wanted, actor = form.cleaned_data["wanted"], actor_of(request)
        obj.pk = (
            change_rule(obj, wanted, actor=actor) if change else make_rule(obj.project, obj.domain, wanted, actor=actor)
        ).pk

    def delete_model(self, request: HttpRequest, obj: DatasetRule) -> None:
        remove_rule(obj, actor=actor_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for row in queryset:
            self.delete_model(request, row)


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("at", "actor", "verb", "subject", "project", "domain")
    list_filter = ("verb",)
    search_fields = ("actor", "verb", "subject")
    date_hierarchy = "at"
