"""What the pages about artifacts show."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from flyteidl.core import literals_pb2, types_pb2

from artifacts.alias_history import versions_before
from artifacts.governance.failing import with_failures
from artifacts.literals import describe_type, to_json
from artifacts.matrix import matrix_of
from artifacts.models import Alias, AliasMove, Artifact, ArtifactVersion
from artifacts.queries import NEWEST_FIRST, newest_first, newest_of_partition
from console.accounts import access
from console.accounts.access import Action, AnyUser
from console.pages.executions_context import begun_by
from console.pages.matrix_cells import rows_of
from console.pages.partition_runs import runs_of_places
from console.pages.scope import in_scope
from console.pages.values import spell
from lineage.models import VersionEdge, VersionRole
from lineage.names import stale_among
from lineage.queries import latest_reads
from lineage.walks import staleness
from scheduler.models import Execution, LaunchPlan, Trigger, TriggerSource

MOVES_SHOWN = 20
VERSIONS_COUNTED = 10_000  # of an artifact, in its head
VERSIONS_USED, USES_COUNTED = 1_000, 500  # the newest of each, by which it is told who uses it
POINTERS_SHOWN = 100  # of its aliases, which may be kept per partition
DIRECT = 200  # versions directly made use of that are looked at on every page
LINK_VALID = timedelta(minutes=10)
HEAVY = ("literal", "literal_type", "card")


def readable_versions(request: HttpRequest) -> QuerySet[ArtifactVersion]:
    """With artifact, aliases and the checks they fail, without their bytes; none whose data was removed."""
    rows = (
        ArtifactVersion.objects.filter(removed_at__isnull=True)
        .select_related("artifact")
        .prefetch_related("aliases", with_failures())
        .defer(*HEAVY)
    )
    return in_scope(request, rows, prefix="artifact__")


def artifact_context(request: HttpRequest, artifact: Artifact) -> dict[str, Any]:
    user: AnyUser = request.user
    sources = TriggerSource.objects.filter(name=artifact.name, project=artifact.project, domain=artifact.domain)
    visible = access.readable(user, project="launch_plan__project", domain="launch_plan__domain")
    triggers = Trigger.objects.filter(visible, pk__in=sources.values("trigger")).select_related("launch_plan")
    heavy = ("launch_plan__spec", "launch_plan__closure", "condition")
    return {
        "artifact": artifact,
        "version_count": artifact.versions.all()[: VERSIONS_COUNTED + 1].count(),
        "versions_counted": VERSIONS_COUNTED,
        "newest": newest_first(artifact.versions.all()).values_list("pk", flat=True).first(),
        **_matrix(request, artifact),
        "triggers": list(triggers.defer(*heavy).order_by("-active", "launch_plan__name", "-launch_plan__created_at")),
        "pointers": _pointers(artifact),
        "may_name": access.can(user, Action.DECIDE, artifact.project, artifact.domain),
        "moves": alias_moves(artifact),
        "consumers": _consumers(user, artifact),
    }


@dataclass(frozen=True)
class Pointer:
    """An alias, or one of its pointers. `before`: what it named before, where it can be moved back to."""

    alias: Alias
    before: ArtifactVersion | None


def _pointers(artifact: Artifact) -> list[Pointer]:
    rows = artifact.aliases.select_related("version").defer("version__literal", "version__card")
    aliases = list(rows.order_by("name", "-moved_at", "pk")[:POINTERS_SHOWN])
    before = versions_before(aliases) if aliases else {}
    return [Pointer(alias, before.get(alias.pk)) for alias in aliases]


def alias_moves(artifact: Artifact, *, limit: int = MOVES_SHOWN) -> list[AliasMove]:
    """Where its aliases have been, newest first."""
    heavy = [f"{end}__{column}" for end in ("from_version", "to_version") for column in HEAVY]
    rows = artifact.alias_moves.select_related("from_version", "to_version").defer(*heavy)
    return list(rows.order_by("-at", "-id")[:limit])


def _matrix(request: HttpRequest, artifact: Artifact) -> dict[str, Any]:
    """Which partitions there are, which are out of date, made or failed; nothing where there is but one place."""
    found = matrix_of(artifact)
    if found is None or len(found.rows) * len(found.columns) < 2:
        return {}
    stale = stale_among(found.versions)
    runs = runs_of_places(request, artifact, found)
    may_launch = access.can(request.user, Action.LAUNCH, artifact.project, artifact.domain)
    rows = list(rows_of(artifact, found, stale=stale, runs=runs, may_launch=may_launch))
    return {
        "matrix": found,
        "matrix_rows": rows,
        "stale_places": stale,
        "missing": found.missing,
        "place_runs": runs,
    }


@dataclass(frozen=True)
class Consumer:
    project: str
    domain: str
    name: str
    count: int


def _consumers(user: AnyUser, artifact: Artifact) -> list[Consumer]:
    """The launch plans whose executions used one of its newest versions, by how often; those that the user may read."""
    newest = list(artifact.versions.order_by(*NEWEST_FIRST).values_list("pk", flat=True)[:VERSIONS_USED])
    edges = VersionEdge.objects.filter(version__in=newest, role=VersionRole.CONSUMED, node_id="")
    names: dict[tuple[str, str], set[str]] = {}
    for key in edges.order_by("-id").values_list("execution_key", flat=True)[:USES_COUNTED]:
        project, domain, name = key.split("/")
        names.setdefault((project, domain), set()).add(name)
    used = Q(pk__in=[])
    for (project, domain), some in sorted(names.items()):  # a name alone can be another project's execution as well
        used |= Q(executions__project=project, executions__domain=domain, executions__name__in=some)
    rows = LaunchPlan.objects.filter(used, access.readable(user)).values("project", "domain", "name")
    return [Consumer(**row) for row in rows.annotate(count=Count("executions")).order_by("-count", "name")[:20]]


def version_context(version: ArtifactVersion) -> dict[str, Any]:
    """The head of a version's page, on every tab."""
    aliases = list(version.aliases.all())
    newest = newest_of_partition(version)
    return {
        "version": version,
        "artifact": version.artifact,
        "aliases": aliases,
        "is_latest": newest is not None and newest.pk == version.pk,
        "has_card": bool(version.card or version.card_uri),
        "is_stale": bool(staleness(version.pk, max_depth=1, limit=DIRECT)),
    }


def overview_context(request: HttpRequest, version: ArtifactVersion) -> dict[str, Any]:
    parts = version.execution_key.split("/")
    project, domain, name = parts if len(parts) == 3 else ("", "", "")
    execution = Execution.objects.filter(project=project, domain=domain, name=name)
    literal_type = types_pb2.LiteralType.FromString(bytes(version.literal_type))
    literal = literals_pb2.Literal.FromString(bytes(version.literal))
    made = execution.select_related("workflow", "launch_plan").only(*EXECUTION_FACTS).first()
    return {
        "execution": made,
        "origin": begun_by(request, made) if made is not None else None,
        "type": describe_type(literal_type),
        "value": "" if version.uri else spell(to_json(literal, literal_type)),
        "used_by": version.edges.filter(role=VersionRole.CONSUMED).values("execution_key").distinct().count(),
        "reads": latest_reads(version),
        "snippet_python": python_snippet(version),
        "snippet_cli": cli_snippet(version),
    }


EXECUTION_FACTS = (
    "project",
    "domain",
    "name",
    "phase",
    "mode",
    "principal",
    "created_at",
    "started_at",
    "parent_node",
    "workflow__name",
    "workflow__version",
    "launch_plan__name",
    "launch_plan__version",
)


def python_snippet(version: ArtifactVersion) -> str:
    artifact = version.artifact
    project, domain, name = (json.dumps(part, ensure_ascii=False) for part in artifact.key)
    take = f'version.download("{artifact.name}/")' if version.uri else "version.value"
    return (
        "from causeway.client import Client\n\n"
        f"client = Client(project={project}, domain={domain})\n"
        f"version = client.get({name}, version={json.dumps(version.version, ensure_ascii=False)})\n"
        f"data = {take}"
    )


def cli_snippet(version: ArtifactVersion) -> str:
    project, domain, name = (shlex.quote(part) for part in version.artifact.key)
    verb = "pull" if version.uri else "get"
    return f"causeway -p {project} -d {domain} artifact {verb} {name} --version {shlex.quote(version.version)}"
