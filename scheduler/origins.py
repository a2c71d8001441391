"""Who or what is at the beginning: of an execution that a version started, that an execution published, that a schedule
launched. "By system:trigger" answers nobody's question.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from django.db import connection

from artifacts.models import ArtifactVersion
from scheduler.models import Execution, ExecutionMode, TriggerFiring

STEPS = 1_000  # of a chain that triggers itself, so many are gone back
_BACK = """
WITH RECURSIVE chain(id, step) AS (
    SELECT %(start)s::bigint, 0
    UNION ALL
    SELECT before.id, chain.step + 1 FROM chain JOIN scheduler_execution AS run ON run.id = chain.id
    CROSS JOIN LATERAL (SELECT COALESCE(
        (SELECT node.execution_id FROM scheduler_nodeexecution AS node WHERE node.id = run.parent_node_id),
        (SELECT source.id FROM scheduler_triggerfiring AS firing
         JOIN artifacts_artifactversion AS version ON version.id = firing.version_id
         JOIN scheduler_execution AS source ON source.project = split_part(version.execution_key, '/', 1)
             AND source.domain = split_part(version.execution_key, '/', 2)
             AND source.name = split_part(version.execution_key, '/', 3)
         WHERE firing.execution_id = run.id ORDER BY firing.id LIMIT 1)
    ) AS id OFFSET 0) AS before
    WHERE before.id IS NOT NULL AND chain.step < %(steps)s
)
SELECT id, step FROM chain ORDER BY step DESC LIMIT 1
"""


@dataclass(frozen=True)
class Origin:
    """`execution`: the first of the chain, `steps` before the one asked about. `version`: what was published from
    outside and started it, where it was that. `by`: the person; of a schedule, who activated it.
    """

    execution: Execution
    steps: int
    by: str
    version: ArtifactVersion | None = None

    @property
    def is_scheduled(self) -> bool:
        return self.execution.mode == ExecutionMode.SCHEDULED


def origin_of(execution: Execution) -> Origin:
    """Two or three statements, however long the chain is."""
    first_id, steps = _first(execution.pk)
    related = ("launch_plan", "workflow")
    heavy = [f"{name}__{column}" for name in related for column in ("spec", "closure")]
    first = execution
    if steps:
        first = Execution.objects.select_related(*related).defer("spec", "error", *heavy).get(pk=first_id)
    if first.mode == ExecutionMode.TRIGGER:
        firings = TriggerFiring.objects.filter(execution=first).select_related("version__artifact")
        firing = firings.defer("version__literal", "version__card").order_by("pk").first()
        if firing is not None:
            return Origin(first, steps, firing.version.created_by, firing.version)
    return Origin(first, steps, first.principal)


@lru_cache(maxsize=10_000)
def _first(pk: int) -> tuple[int, int]:
    """Where the chain begins, and how far back that is: what never changes."""
    with connection.cursor() as cursor:
        cursor.execute(_BACK, {"start": pk, "steps": STEPS})
        found: tuple[int, int] = cursor.fetchone()
    return found
