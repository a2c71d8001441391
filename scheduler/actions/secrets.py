"""Setting, removing and re-sealing secrets. Values go in here and come out in a task's process only."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.utils import timezone

from artifacts.exceptions import InvalidArgument
from audit.record import record
from scheduler.actions.identifiers import check_project
from scheduler.models import Secret
from scheduler.secrets import cipher
from scheduler.secrets.lookup import bound_to, rows
from scheduler.secrets.names import Name, check_name

LARGEST = 64 * 1024  # bytes; larger ones are files of the operator's


def set_secret(name: Name, value: bytes, *, project: str, domain: str, actor: str) -> tuple[Secret, bool]:
    """The row, and whether it is new; a value that was there is replaced, for attempts that start from now on.

    Empty `project`: every project; empty `domain`: every domain of the project. InvalidArgument for names and places
    that cannot be, and for an empty value or one larger than LARGEST.
    """
    check_name(name)
    check_place(project, domain)
    if not value:
        raise InvalidArgument("a secret needs a value; remove it to have none")
    if len(value) > LARGEST:
        raise InvalidArgument(f"a secret has at most {LARGEST} bytes, this one has {len(value)}")
    try:
        with transaction.atomic():
            return _write(name, value, project=project, domain=domain, actor=actor)
    except IntegrityError:  # somebody set it first, at the same time
        return _write(name, value, project=project, domain=domain, actor=actor)


def _write(name: Name, value: bytes, *, project: str, domain: str, actor: str) -> tuple[Secret, bool]:
    now = timezone.now()
    with transaction.atomic():
        named = rows((project, domain)).select_for_update()
        row = named.filter(group__iexact=name.group, key__iexact=name.key, version__iexact=name.version).first()
        made = row is None
        if row is None:
            row = Secret(project=project, domain=domain, group=name.group, key=name.key, version=name.version)
            row.created_by, row.created_at = actor, now
        row.sealed = cipher.seal(value, bound_to=bound_to(row))
        row.updated_by, row.updated_at = actor, now
        row.save()
        record(actor, "secret.create" if made else "secret.replace", row)
    return row, made


def remove_secret(secret: Secret, *, actor: str) -> None:
    """Attempts that run have it still; those that start fail by its name."""
    with transaction.atomic():
        if Secret.objects.filter(pk=secret.pk).delete()[0]:  # of two at once one did it
            record(actor, "secret.remove", secret)


def reseal() -> int:
    """Seal with the newest key what an older one sealed; returns how many. CannotOpen where the old key is gone."""
    number = 0
    for pk in Secret.objects.order_by("pk").values_list("pk", flat=True):
        with transaction.atomic():
            row = Secret.objects.select_for_update().filter(pk=pk).first()
            if row is None or cipher.is_newest(bytes(row.sealed)):
                continue
            value = cipher.open_sealed(bytes(row.sealed), bound_to=bound_to(row))
            row.sealed = cipher.seal(value, bound_to=bound_to(row))
            row.save(update_fields=["sealed"])
            number += 1
    return number


def check_place(project: str, domain: str) -> None:
    """InvalidArgument for a domain without its project, and for what does not exist."""
    if domain and not project:
        raise InvalidArgument("a domain needs its project; leave both empty for every project")
    if project:
        check_project(project, domain or None)
