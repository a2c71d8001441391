"""Role bindings: who may give which role where."""

from __future__ import annotations

from django.db import transaction

from artifacts.exceptions import InvalidArgument, NotFound
from console.accounts import access, audit
from console.accounts.access import Action
from console.accounts.models import Role, RoleBinding, User


def bind(username: str, role: Role, *, project: str, domain: str, actor: User) -> RoleBinding:
    """Gives the role; giving it twice changes nothing. The giver needs ADMIN over the same scope."""
    access.require(actor, Action.ADMIN, project, domain)
    if domain and not project:
        raise InvalidArgument("a domain needs its project; leave both empty to bind everywhere")
    user = User.objects.filter(username=username).first()
    if user is None:
        raise NotFound(f"no user {username}")
    with transaction.atomic():
        binding, created = RoleBinding.objects.get_or_create(user=user, role=role, project=project, domain=domain)
        if created:
            audit.record(actor, "role.bind", f"{username}:{role.value}", project=project, domain=domain)
    return binding


def unbind(binding: RoleBinding, *, actor: User) -> None:
    """Takes the role away. The taker needs ADMIN over the binding's scope."""
    access.require(actor, Action.ADMIN, binding.project, binding.domain)
    with transaction.atomic():
        subject = f"{binding.user.username}:{binding.role}"
        audit.record(actor, "role.unbind", subject, project=binding.project, domain=binding.domain)
        binding.delete()
