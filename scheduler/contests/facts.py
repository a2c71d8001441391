"""That production ran with a champion: written with its launch, for the runs beside it to follow from."""

from __future__ import annotations

from collections.abc import Mapping

from artifacts.happenings import happened, register
from artifacts.models import Alias, ArtifactVersion
from scheduler.models import Contest, Execution

CHAMPION_RAN = register("champion.ran", "ran with the champion")
SHADOW_REFUSED = register("shadow.refused", "could not run beside production")


def note_champion(execution: Execution, plan: tuple[str, str, str], inputs: Mapping[str, ArtifactVersion]) -> None:
    """In the transaction of a launch whose plan (project, domain, name) runs the models of contests: where it takes the
    champion, challengers are to run beside it. `inputs`: those that are versions.
    """
    project, domain, name = plan
    contests = Contest.objects.filter(project=project, domain=domain, shadow_plan=name, removed_at__isnull=True)
    for contest in contests.order_by("pk"):
        version = inputs.get(contest.shadow_input)
        if version is None or version.artifact.key != (contest.project, contest.domain, contest.model):
            continue
        if Alias.objects.filter(artifact=version.artifact_id, name=contest.alias, version=version.pk).exists():
            happened(
                CHAMPION_RAN,
                actor=execution.principal,
                version=version,
                place=(execution.project, execution.domain),
                subject=execution.key,
                execution_key=execution.key,
                name=contest.alias,
                detail={"contest": contest.pk},
            )
