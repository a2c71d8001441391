"""Role bindings: who may give which role where."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from artifacts.exceptions import InvalidArgument, NotFound
from audit.record import record
from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import Role, RoleBinding, User
from scheduler.models import Project


def bind(username: str, role: Role, *, project: str, domain: str, actor: User) -> RoleBinding:
    """Gives the role; giving it twice changes nothing. The giver needs ADMIN over the same scope.

    InvalidArgument for a project or domain that there is not, NotFound for such a user.
    """
    access.require(actor, Action.ADMIN, project, domain)
    check_scope(project, domain)
    user = User.objects.filter(username=username).first()
    if user is None:
        raise NotFound(f"no user {username}")
    with transaction.atomic():
        binding, created = RoleBinding.objects.get_or_create(user=user, role=role, project=project, domain=domain)
        if created or binding.group:  # what a group gave, and a person now gives, does not go with the group
            RoleBinding.objects.filter(pk=binding.pk).update(group="")
            record_binding(actor.get_username(), "role.bind", binding)
    return binding


def check_scope(project: str, domain: str) -> None:
    """InvalidArgument unless a role can be bound there: both empty mean everywhere."""
    if domain and not project:
        raise InvalidArgument("a domain needs its project; leave both empty to bind everywhere")
    if project and not Project.objects.filter(identifier=project).exists():
        raise InvalidArgument(f"there is no project {project}")
    if domain and domain not in settings.CAUSEWAY_DOMAINS:
        raise InvalidArgument(f"there is no domain {domain}; the domains are: {', '.join(settings.CAUSEWAY_DOMAINS)}")


def unbind(binding: RoleBinding, *, actor: User) -> None:
    """Takes the role away. The taker needs ADMIN over the binding's scope."""
    access.require(actor, Action.ADMIN, binding.project, binding.domain)
    with transaction.atomic():
        if RoleBinding.objects.filter(pk=binding.pk).delete()[0]:  # of two at once one did it
            record_binding(actor.get_username(), "role.unbind", binding)


def record_binding(actor: str, verb: str, binding: RoleBinding) -> None:
    """The row of the audit trail; `verb` is `role.bind` or `role.unbind`."""
    record(actor, verb, f"{binding.user.username}:{binding.role}", project=binding.project, domain=binding.domain)
