"""Accounts of programs: a project's admins make them, give them tokens, and close them."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from artifacts.exceptions import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from audit.record import record
from console.accounts import access, roles, tokens
from console.accounts.access import Action
from console.accounts.models import ApiToken, Role, User
from console.accounts.scopes import grant_of


def of(project: str) -> QuerySet[User]:
    """Those of a project, closed ones last."""
    return User.objects.filter(service_of=project).order_by("-is_active", "username")


def found(project: str, name: str) -> User:
    """Raises NotFound."""
    user = of(project).filter(username=name).first()
    if user is None:
        raise NotFound(f"no service account {name} of {project}")
    return user


def make(name: str, role: Role, *, project: str, domain: str = "", actor: User) -> User:
    """A new one with a role in its project. The maker administers the project.

    Raises InvalidArgument for a name that no account can have, AlreadyExists where one has it.
    """
    access.require(actor, Action.ADMIN, project)
    if not project:
        raise InvalidArgument("a service account belongs to a project")
    roles.check_scope(project, domain)
    try:
        UnicodeUsernameValidator()(name)
    except ValidationError as error:
        raise InvalidArgument(f"the name of an account has letters, digits and @.+-_, not {name!r}") from error
    if len(name) > 150:
        raise InvalidArgument("the name of an account has at most 150 characters")
    # As sign_on: in trails and votes `Root` would be taken for `root`.
    if User.objects.filter(username__iexact=name).exists():
        raise AlreadyExists(f"there is an account {name} already")
    user = User(username=name, service_of=project)
    user.set_unusable_password()
    try:
        with transaction.atomic():
            user.save()
            detail = {"service_of": project}
            record(actor.username, "service_account.create", name, project=project, domain="", detail=detail)
            roles.bind(name, role, project=project, domain=domain, actor=actor)
    except IntegrityError as error:
        raise AlreadyExists(f"there is an account {name} already") from error
    return user


def give_token(account: User, name: str, expires_at: datetime | None, *, actor: User) -> tuple[ApiToken, str]:
    """A token of it, good for its project only, and the secret, which nobody can read again. Made with a token of less
    than everything, it may do no more and ends with that one.

    Raises FailedPrecondition for an account that is closed.
    """
    access.require(actor, Action.ADMIN, account.service_of)
    if not account.is_active:
        raise FailedPrecondition(f"the service account {account.username} is closed")
    grant = grant_of(actor)
    limits = None if grant is None or grant.is_whole else grant
    return tokens.create(account, name, expires_at, project=account.service_of, actor=actor.username, within=limits)


def close(account: User, *, actor: User) -> None:
    """It can do nothing any more, and its tokens are revoked; what it did keeps its name. Twice changes nothing."""
    access.require(actor, Action.ADMIN, account.service_of)
    with transaction.atomic():
        if not User.objects.filter(pk=account.pk, is_active=True).update(is_active=False):
            return
        ApiToken.objects.filter(user=account, revoked_at=None).update(revoked_at=timezone.now())
        record(actor.username, "service_account.close", account.username, project=account.service_of, domain="")
