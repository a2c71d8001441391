"""Setting, changing and removing clusters while Causeway runs. No kubeconfig comes out of here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from artifacts.exceptions import AlreadyExists, FailedPrecondition, InvalidArgument
from audit.record import record
from scheduler.actions import descriptions
from scheduler.executors.kubernetes import clusters, kubeconfig
from scheduler.executors.kubernetes.cluster import BadCluster, Cluster, described
from scheduler.models import ClusterSettings, TaskExecution
from scheduler.phases import ATTEMPT_TERMINAL
from scheduler.secrets import cipher


def read_description(given: object) -> dict[str, Any]:
    """A description that came as a mapping, or as YAML or JSON. InvalidArgument."""
    return descriptions.read(given, of="cluster", such_as="image: team/tasks:1")


def set_cluster(
    name: str, description: object, *, kubeconfig_text: str | None, actor: str
) -> tuple[ClusterSettings, bool]:
    """The row, and whether it is new; what was described before is replaced.

    `kubeconfig_text` None: the one that was set stays; empty: none, the description names a file or Causeway runs on
    the cluster. InvalidArgument for what is not understood, AlreadyExists for a name of the settings file.
    """
    given = read_description(description)
    try:
        with transaction.atomic():
            return _write(name, given, kubeconfig_text, actor=actor)
    except IntegrityError:  # somebody set it first, at the same time
        return _write(name, given, kubeconfig_text, actor=actor)


def change_cluster(
    row: ClusterSettings, changes: object, *, kubeconfig_text: str | None = None, actor: str
) -> ClusterSettings:
    """Only what is named, as a JSON merge patch (RFC 7396): null takes a setting away. Raises as `set_cluster`."""
    given = read_description(changes)
    with transaction.atomic():
        locked = ClusterSettings.objects.select_for_update().get(pk=row.pk)
        return _write(locked.name, descriptions.merged(locked.description, given), kubeconfig_text, actor=actor)[0]


def remove_cluster(row: ClusterSettings, *, actor: str) -> None:
    """FailedPrecondition while attempts are on it: nobody would look after their pods any more."""
    with transaction.atomic():
        locked = ClusterSettings.objects.select_for_update().get(pk=row.pk)
        held = TaskExecution.objects.filter(executor=clusters.KIND, cluster=locked.name)
        if count := held.exclude(phase__in=ATTEMPT_TERMINAL).count():
            raise FailedPrecondition(
                f"cluster {locked.name} has {count} attempts that have not ended: close it (`open: false`), and "
                "wait or abort them"
            )
        record(actor, "cluster.remove", locked)
        locked.delete()


def check(name: str, description: Mapping[str, Any], kubeconfig_text: str) -> Cluster:
    """What the description means. InvalidArgument in one sentence."""
    try:
        if "name" in description and description["name"] != name:
            raise BadCluster(f"the description is of a cluster {description['name']!r}, not of {name!r}")
        found = described({**description, "name": name})
        if kubeconfig_text and found.kubeconfig:
            raise BadCluster("give the text of a kubeconfig or the name of its file, not both")
        if kubeconfig_text:
            kubeconfig.check_context(kubeconfig.read(kubeconfig_text), found.context)
        elif found.kubeconfig:
            kubeconfig.check_path(found.kubeconfig, Path(settings.CAUSEWAY_HOME))
    except (BadCluster, TypeError, ValueError) as error:
        raise InvalidArgument(str(error)) from None
    return found


def check_change(name: str, description: Mapping[str, Any], kubeconfig_text: str | None) -> None:
    """What set_cluster would refuse: InvalidArgument, AlreadyExists."""
    _check_name(name)
    row = ClusterSettings.objects.filter(name=name).first() or ClusterSettings(name=name)
    check(name, description, _text_of(row) if kubeconfig_text is None else kubeconfig_text.strip())


def _check_name(name: str) -> None:
    if any(one.name == name for one in clusters.of_settings()):
        raise AlreadyExists(f"cluster {name} is set in the settings file of this installation: it is changed there")


def _write(
    name: str, description: dict[str, Any], kubeconfig_text: str | None, *, actor: str
) -> tuple[ClusterSettings, bool]:
    _check_name(name)
    now = timezone.now()
    with transaction.atomic():
        row = ClusterSettings.objects.select_for_update().filter(name=name).first()
        made = row is None
        if row is None:
            row = ClusterSettings(name=name, created_by=actor, created_at=now)
        text = _text_of(row) if kubeconfig_text is None else kubeconfig_text.strip()
        check(name, description, text)
        told = {key: value for key, value in description.items() if key != "name"}
        changed = descriptions.changed(row.description, told)
        if kubeconfig_text is not None:
            row.sealed = cipher.seal(text.encode(), bound_to=clusters.bound_to(name)) if text else b""
            changed.append("the kubeconfig")
        row.description, row.updated_by, row.updated_at = told, actor, now
        row.save()
        record(actor, "cluster.create" if made else "cluster.update", row, detail={"changed": changed})
    return row, made


def _text_of(row: ClusterSettings) -> str:
    return cipher.open_sealed(bytes(row.sealed), bound_to=clusters.bound_to(row.name)).decode() if row.sealed else ""


def reseal() -> int:
    """Seal with the newest key the kubeconfigs that an older one sealed; returns how many. CannotOpen."""
    number = 0
    for pk in ClusterSettings.objects.order_by("pk").values_list("pk", flat=True):
        with transaction.atomic():
            row = ClusterSettings.objects.select_for_update().filter(pk=pk).first()
            if row is None or not row.sealed or cipher.is_newest(bytes(row.sealed)):
                continue
            row.sealed = cipher.seal(_text_of(row).encode(), bound_to=clusters.bound_to(row.name))
            row.save(update_fields=["sealed"])
            number += 1
    return number
