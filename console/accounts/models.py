from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone


class User(AbstractUser):
    """A person or a service account. `is_superuser` is the platform admin; everyone else needs a RoleBinding.

    A service account has no password and no browser, only API tokens; `service_of` is the project whose admins it
    belongs to, and the only one it can have roles in from them.
    """

    service_of = models.CharField(max_length=64, blank=True, default="", db_index=True)


class Role(models.TextChoices):
    """What a binding allows; each role includes those before it."""

    VIEWER = "viewer", "Viewer"  # read everything of the project
    CONTRIBUTOR = "contributor", "Contributor"  # register, launch, abort, publish, set signals
    APPROVER = "approver", "Approver"  # decide approvals, move aliases, activate launch plans
    ADMIN = "admin", "Admin"  # project settings, role bindings, retention


class RoleBinding(models.Model):
    """Gives a user a role in a project, in one of its domains, or (both empty) everywhere."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="role_bindings", db_index=False)
    project = models.CharField(max_length=64, blank=True, default="")
    domain = models.CharField(max_length=64, blank=True, default="")
    role = models.CharField(max_length=16, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)
    # The group of single sign-on that gave it (console.accounts.sign_on), which takes it away again; empty: a person
    group = models.CharField(max_length=255, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "project", "domain", "role"], name="role_binding_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.user} {self.role} in {self.project or '*'}/{self.domain or '*'}"


class GroupRole(models.Model):
    """What members of a group of single sign-on are given when they log in, as a RoleBinding would say it."""

    group = models.CharField(max_length=255)
    project = models.CharField(max_length=64, blank=True, default="")
    domain = models.CharField(max_length=64, blank=True, default="")
    role = models.CharField(max_length=16, choices=Role.choices)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["group", "project", "domain", "role"], name="group_role_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.group}: {self.role} in {self.project or '*'}/{self.domain or '*'}"


class Identity(models.Model):
    """Whom an account is at a provider of single sign-on. `subject` is the provider's own, unique and for ever."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="identities")
    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "identities"
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="identity_unique")]

    def __str__(self) -> str:
        return f"{self.subject} of {self.issuer}"


class BrowserSession(models.Model):
    """Where somebody is logged in with a browser. It ends with its session (console.accounts.sessions)."""

    session = models.OneToOneField("sessions.Session", on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="browser_sessions")
    created_at = models.DateTimeField(auto_now_add=True)
    last_seen_at = models.DateTimeField()
    address = models.CharField(max_length=64, blank=True, default="")
    agent = models.CharField(max_length=300, blank=True, default="")  # as the browser calls itself

    def __str__(self) -> str:
        return f"session of {self.user} from {self.address or 'somewhere'}"


class SignIn(models.Model):
    """A program that somebody logged in (flytekit, by a browser or a device code): it gets tokens of an hour until
    this expires or is ended (console.accounts.sign_ins).
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sign_ins")
    client = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True)  # of the refresh token
    scopes = models.JSONField(default=list)  # as of an ApiToken
    address = models.CharField(max_length=64, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.client} of {self.user}"

    def check_client(self, client: Any) -> bool:
        """As Authlib asks it of a refresh token."""
        return bool(client.client_id == self.client)

    def get_scope(self) -> str:
        return " ".join(self.scopes)


class AuthorizationCode(models.Model):
    """What a browser carries from the page of consent to the program that asked: good once, for a minute."""

    digest = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    client = models.CharField(max_length=100)
    redirect_uri = models.CharField(max_length=500)
    scope = models.CharField(max_length=500, blank=True, default="")
    code_challenge = models.CharField(max_length=128)
    code_challenge_method = models.CharField(max_length=10)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"code for {self.client} of {self.user}"

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


class DeviceCode(models.Model):
    """A program on a machine without a browser that waits until somebody types its code elsewhere.

    `approved` is None until he decided; `user` is who did.
    """

    digest = models.CharField(max_length=64, unique=True)  # of what the program asks with
    user_code = models.CharField(max_length=20, unique=True)  # what people type
    client = models.CharField(max_length=100)
    scope = models.CharField(max_length=500, blank=True, default="")
    address = models.CharField(max_length=64, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(db_index=True)
    asked_at = models.DateTimeField(null=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="+")
    approved = models.BooleanField(null=True)

    def __str__(self) -> str:
        return f"device code for {self.client}"

    def get_client_id(self) -> str:
        return self.client

    def get_scope(self) -> str:
        return self.scope

    def get_user_code(self) -> str:
        return self.user_code

    def is_expired(self) -> bool:
        return self.expires_at <= timezone.now()


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
    # Of a program that somebody logged in; it is renewed by that and listed there.
    sign_in = models.ForeignKey(SignIn, on_delete=models.CASCADE, null=True, blank=True, related_name="tokens")

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

    reader = models.ForeignKey(Reader, on_delete=models.CASCADE, related_name="scopes", db_index=False)
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

    hook = models.ForeignKey(Hook, on_delete=models.CASCADE, related_name="calls", db_index=False)
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

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="saved_views", db_index=False)
    name = models.CharField(max_length=80)
    address = models.CharField(max_length=2000)  # path and query
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="saved_view_unique")]

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"
