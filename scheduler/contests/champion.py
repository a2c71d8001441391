"""Which of a contest's models takes the champion's place by itself, where the alias's policy moves it so."""

from __future__ import annotations

from artifacts.governance.following import ACTOR, arbiter
from artifacts.models import AliasMove, ArtifactVersion
from scheduler.contests.rules import Claim, outranks
from scheduler.contests.runs import datasets_of, makers_of
from scheduler.models import Contest


@arbiter
def is_led_by(challenger: ArtifactVersion, champion: ArtifactVersion, alias: str) -> bool | None:
    """None where there is no contest for the alias, or one of the two is no model of it."""
    project, domain, name = challenger.artifact.key
    contest = Contest.objects.filter(
        project=project, domain=domain, model=name, alias=alias, removed_at__isnull=True
    ).first()
    if contest is None:
        return None
    claims = _claims(contest, [challenger, champion])
    if len(claims) < 2:
        return None
    moves = AliasMove.objects.filter(to_version=champion.pk, name=alias, happening__isnull=False)
    last = moves.order_by("-pk").first()
    by_hand = last is not None and last.actor != ACTOR
    return outranks(
        claims[challenger.pk],
        Claim(claims[champion.pk].trained_on, claims[champion.pk].value, by_hand),
        contest.better,
    )


def _claims(contest: Contest, versions: list[ArtifactVersion]) -> dict[int, Claim]:
    makers = makers_of(contest, [version.pk for version in versions])
    datasets = datasets_of(contest, {run for run, _ in makers.values()})
    ids = {pk for own in datasets.values() for pk in own}
    moments = dict(ArtifactVersion.objects.filter(pk__in=ids).values_list("pk", "created_at"))
    claims = {}
    for version in versions:
        run = makers.get(version.pk, (0, ""))[0]
        if own := datasets.get(run):
            value = version.metrics.get(contest.metric)
            trained_on = max((moments[pk], pk) for pk in own)
            claims[version.pk] = Claim(trained_on, float(value) if value is not None else None)
    return claims
