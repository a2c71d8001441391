"""The admin panel is for superusers alone: what everybody does is in the console."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Model
from django.http import HttpRequest

from artifacts.models import Artifact
from scheduler.models import Execution, LaunchPlan, Project, Trigger

admin.site.site_header = "Causeway administration"
admin.site.site_title = "Causeway"
admin.site.index_title = "Administration"
admin.site.unregister(Group)  # rights are role bindings


def actor_of(request: HttpRequest) -> str:
    return request.user.get_username()


def is_superuser(request: HttpRequest) -> bool:
    user = request.user
    return bool(user.is_active and user.is_staff and getattr(user, "is_superuser", False))


class SuperuserAdmin:
    """Mixed into a ModelAdmin: staff who are no superusers see nothing, whatever permissions rows say."""

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


@admin.register(Project)
class ProjectAdmin(SuperuserAdmin, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("identifier", "name", "state", "created_at")
    list_filter = ("state",)
    search_fields = ("identifier", "name")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return ("identifier",) if obj is not None else ()

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # archived instead: what ran in it stays


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
