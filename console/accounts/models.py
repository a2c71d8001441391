from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """A person or a service account. `is_superuser` is the platform admin; everyone else needs a RoleBinding."""


class Role(models.TextChoices):
    """What a binding allows; each role includes those before it."""

    VIEWER = "viewer", "Viewer"  # read everything of the project
    CONTRIBUTOR = "contributor", "Contributor"  # register, launch, abort, publish, set signals
    APPROVER = "approver", "Approver"  # decide approvals, move aliases, activate launch plans
    ADMIN = "admin", "Admin"  # project settings, role bindings, retention


class RoleBinding(models.Model):
    """Gives a user a role in a project, in one of its domains, or (both empty) everywhere."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="role_bindings")
    project = models.CharField(max_length=64, blank=True, default="")
    domain = models.CharField(max_length=64, blank=True, default="")
    role = models.CharField(max_length=16, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "project", "domain", "role"], name="role_binding_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.user} {self.role} in {self.project or '*'}/{self.domain or '*'}"


class ApiToken(models.Model):
    """A bearer token for REST and gRPC. Only its SHA-256 is kept; the secret is shown once.

    `parent` is the token it was made with: it may do no more and lives no longer, and ends with it.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    # What it is good for (console.accounts.scopes); empty: whatever its user may do.
    scopes = models.JSONField(default=list, blank=True)
    project = models.CharField(max_length=64, blank=True, default="")  # where; empty: wherever its user may
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, blank=True, related_name="children")

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"


class Reader(models.Model):
    """A login role of the database that reads the views of the schema `causeway`, of the places in its scopes.

    The password is the database's alone. `role` is the role's name there, which is the server's: unique in all its
    databases.
    """

    name = models.CharField(max_length=40, unique=True)
    role = models.CharField(max_length=63, unique=True)
    description = models.TextField(blank=True, default="")
    statement_seconds = models.PositiveIntegerField(default=60)  # after that a statement of it is ended
    connections = models.PositiveIntegerField(default=5)  # at most so many sessions at once
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class ReaderScope(models.Model):
    """A project, or one of its domains, that a reader sees; both empty: everything."""

    reader = models.ForeignKey(Reader, on_delete=models.CASCADE, related_name="scopes")
    project = models.CharField(max_length=64, blank=True, default="")
    domain = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reader", "project", "domain"], name="reader_scope_unique")]

    def __str__(self) -> str:
        return f"{self.project or '*'}/{self.domain or '*'}"


class Hook(models.Model):
    """An address that publishes versions of one artifact for whoever signs with its secret (console.hooks).

    It publishes by the name of who made it and with his rights of that moment; made with a token it ends with that.
    """

    key = models.CharField(max_length=32, unique=True)  # in the address; no secret
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="hooks")
    parent = models.ForeignKey(ApiToken, on_delete=models.CASCADE, null=True, related_name="hooks")
    project = models.CharField(max_length=64)
    domain = models.CharField(max_length=64)
    artifact = models.CharField(max_length=255)
    sealed = models.BinaryField()  # scheduler.secrets.cipher
    former = models.BinaryField(null=True)  # the secret before, which is good until ...
    former_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"hook {self.key} of {self.project}/{self.domain}/{self.artifact}"


class HookCall(models.Model):
    """A signature that a hook has seen: the same is not taken twice. Kept for as long as it could be sent again."""

    hook = models.ForeignKey(Hook, on_delete=models.CASCADE, related_name="calls")
    signature = models.CharField(max_length=64)
    at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["hook", "signature"], name="hook_call_once")]

    def __str__(self) -> str:
        return f"{self.hook_id} at {self.at}"


class Attempts(models.Model):
    """How often a secret was told wrongly, of a subject and within a window (console.accounts.throttle)."""

    key = models.CharField(max_length=64, primary_key=True)  # a digest of what is counted
    count = models.PositiveIntegerField()
    until = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.count} until {self.until}"


class LoginLink(models.Model):
    """A link that logs its user in once. Only the SHA-256 of its secret is kept."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="login_links")
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"login link of {self.user}"


class SavedView(models.Model):
    """An address of the console that somebody keeps under a name."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="saved_views")
    name = models.CharField(max_length=80)
    address = models.CharField(max_length=2000)  # path and query
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="saved_view_unique")]

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"
