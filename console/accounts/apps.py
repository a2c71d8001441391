from __future__ import annotations

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "console.accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.contrib.auth.signals import user_logged_in
        from django.core.signals import request_started
        from django.db.models.signals import post_migrate, pre_migrate

        from console.accounts.access import holders_of, rights_of
        from console.accounts.scopes import forget_caller, project_of_caller
        from console.accounts.sessions import note_login
        from console.sqlviews.signals import drop_views, make_views
        from scheduler import authority

        authority.install(rights_of, project_of_caller, holders_of)
        user_logged_in.connect(note_login)
        request_started.connect(forget_caller)
        pre_migrate.connect(drop_views, sender=self)
        post_migrate.connect(make_views, sender=self)
