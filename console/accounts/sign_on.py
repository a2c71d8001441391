"""Accounts of people whom a provider of single sign-on (OpenID Connect) has proved.

An account belongs to the provider's `sub`, never to a name that can be chosen there. Groups give roles: they are set by
GroupRole, given when somebody logs in, and taken when he logs in without the group. Roles that people gave stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db import IntegrityError, transaction

from artifacts.exceptions import AlreadyExists, InvalidArgument, Unauthenticated
from audit.record import record
from console.accounts import roles
from console.accounts.models import GroupRole, Identity, RoleBinding, User

ACTOR = "system:sign-on"
_UNFIT = re.compile(r"[^\w.@+-]")  # what a user name cannot have, as Django says


@dataclass(frozen=True)
class Person:
    """What the provider says of somebody. `groups` is None where there are some and it does not say which."""

    issuer: str
    subject: str
    name: str
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    groups: frozenset[str] | None = None


def log_in(person: Person) -> User:
    """The person's account, made where there is none, with the roles of his groups.

    Raises Unauthenticated for one that is switched off, AlreadyExists where somebody else has the name.
    """
    with transaction.atomic():
        known = Identity.objects.select_related("user").filter(issuer=person.issuer, subject=person.subject).first()
        user = known.user if known is not None else _make(person)
        if not user.is_active:
            raise Unauthenticated(f"the account {user.username} is switched off")
        _keep_facts(user, person)
        if person.groups is not None:
            _give_roles(user, person.groups)
        record(user.username, "login.sign_on", user.username, detail={"issuer": person.issuer})
    return user


def link(user: User, person: Person) -> None:
    """The person is this user, who is logged in and asked for it. Raises AlreadyExists where he is another."""
    with transaction.atomic():
        known, made = Identity.objects.select_related("user").get_or_create(
            issuer=person.issuer, subject=person.subject, defaults={"user": user}
        )
        if known.user_id != user.pk:
            raise AlreadyExists(f"this login at {person.issuer} belongs to the account {known.user.username}")
        if made:
            record(user.username, "user.link", user.username, detail={"issuer": person.issuer})


def unlink(identity: Identity, *, actor: str) -> None:
    with transaction.atomic():
        if Identity.objects.filter(pk=identity.pk).delete()[0]:  # of two at once one did it
            record(actor, "user.unlink", identity.user.username, detail={"issuer": identity.issuer})


def take_back(row: GroupRole, *, actor: str) -> None:
    """What the group gave and gives no more goes at once: who has a token may never log in again. Whom another of his
    groups gives the same gets it with his next login.
    """
    given = RoleBinding.objects.filter(group=row.group, project=row.project, domain=row.domain, role=row.role)
    with transaction.atomic():
        for binding in given.select_related("user"):
            roles.record_binding(actor, "role.unbind", binding)
            binding.delete()


def _make(person: Person) -> User:
    # As Django writes names: else one of wide letters would look like somebody else's.
    name = _UNFIT.sub("-", User.normalize_username(person.name))[:150]
    if not name:
        raise InvalidArgument(f"the provider gives no name: its claim {settings.CAUSEWAY_OIDC_USERNAME} is empty")
    refused = AlreadyExists(
        f"there is an account {name} already: log in with its password, and link it on the page of sessions"
    )
    if User.objects.filter(username__iexact=name).exists():
        raise refused
    user = User(username=name, email=person.email[:254])
    user.set_unusable_password()
    try:
        with transaction.atomic():
            user.save()
            Identity.objects.create(user=user, issuer=person.issuer, subject=person.subject)
    except IntegrityError as error:  # at the same moment
        raise refused from error
    record(ACTOR, "user.create", user.username, detail={"issuer": person.issuer, "subject": person.subject})
    return user


def _keep_facts(user: User, person: Person) -> None:
    facts = {"email": person.email[:254], "first_name": person.first_name[:150], "last_name": person.last_name[:150]}
    changed = [name for name, value in facts.items() if value and getattr(user, name) != value]
    for name in changed:
        setattr(user, name, facts[name])
    user.save(update_fields=changed) if changed else None


def _give_roles(user: User, groups: Iterable[str]) -> None:
    """Makes the roles of groups what they are now; those of people are left alone."""
    groups = frozenset(groups)
    wanted = {(row.project, row.domain, row.role): row.group for row in GroupRole.objects.filter(group__in=groups)}
    had = {(row.project, row.domain, row.role): row for row in RoleBinding.objects.filter(user=user)}
    for place, row in had.items():
        if row.group and place not in wanted:
            roles.record_binding(ACTOR, "role.unbind", row)
            row.delete()
    for (project, domain, role), group in wanted.items():
        if (project, domain, role) not in had:
            binding = RoleBinding(user=user, project=project, domain=domain, role=role, group=group)
            binding.save()
            roles.record_binding(ACTOR, "role.bind", binding)
    _make_admin(user, groups)


def _make_admin(user: User, groups: frozenset[str]) -> None:
    """Platform administrators are the members of one group, where one is set."""
    if not settings.CAUSEWAY_OIDC_ADMIN_GROUP:
        return
    should = settings.CAUSEWAY_OIDC_ADMIN_GROUP in groups
    if user.is_superuser != should:
        user.is_superuser = user.is_staff = should
        user.save(update_fields=["is_superuser", "is_staff"])
        record(ACTOR, "user.update", user.username, detail={"changed": ["is_superuser"], "is_superuser": should})
