from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.db.models import Model
from django.http import HttpRequest

from console.accounts import audit, tokens
from console.accounts.models import ApiToken, AuditEvent, RoleBinding, User
from console.accounts.scopes import SCOPES
from console.admin import ReadOnlyAdmin, SuperuserAdmin, actor_of


class RoleBindingInline(admin.TabularInline):  # type: ignore[type-arg]
    model = RoleBinding
    extra = 0


@admin.register(User)
class CausewayUserAdmin(SuperuserAdmin, UserAdmin):  # type: ignore[type-arg]
    """People and service accounts. Roles are bindings; Django's groups and permissions are not used."""

    list_display = ("username", "email", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser")}),
    )
    inlines = (RoleBindingInline,)


@admin.register(RoleBinding)
class RoleBindingAdmin(SuperuserAdmin, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("user", "role", "project", "domain", "created_at")
    list_filter = ("role", "project")
    list_select_related = ("user",)
    autocomplete_fields = ("user",)

    def save_model(self, request: HttpRequest, obj: RoleBinding, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        audit.record(
            actor_of(request), "role.bind", f"{obj.user.username}:{obj.role}", project=obj.project, domain=obj.domain
        )

    def delete_model(self, request: HttpRequest, obj: RoleBinding) -> None:
        audit.record(
            actor_of(request), "role.unbind", f"{obj.user.username}:{obj.role}", project=obj.project, domain=obj.domain
        )
        super().delete_model(request, obj)


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


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("at", "actor", "verb", "subject", "project", "domain")
    list_filter = ("verb",)
    search_fields = ("actor", "verb", "subject")
    date_hierarchy = "at"
