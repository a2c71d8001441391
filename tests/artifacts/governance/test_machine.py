"""Any interleaving of publications, reports, moves, approvals and of what follows from them, beside a small model."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from artifacts.actions.aliases import move_alias
from artifacts.exceptions import CausewayError
from artifacts.governance.checks import Report, report
from artifacts.governance.pointers import Mover, approve_version, clauses_of, policy_of, set_alias_policy
from artifacts.governance.policies import failing
from artifacts.models import Alias, AliasMove, ArtifactVersion, Happening
from scheduler.happenings import handle, unhandled
from tests.artifacts.governance.making import auc_check, model, the_artifact

pytestmark = pytest.mark.django_db

VERSIONS = st.integers(0, 4)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.sampled_from([0.5, 0.85, 0.9])),
        st.tuples(st.just("report"), VERSIONS, st.sampled_from([0.4, 0.95])),
        st.tuples(st.just("move"), VERSIONS, st.booleans()),
        st.tuples(st.just("approve"), VERSIONS, st.sampled_from(["bob", "eve", "ada"]), st.booleans()),
        st.tuples(st.just("handle"), st.integers(0, 3)),
    ),
    max_size=14,
)


class Model:
    """What is true of the versions, told from the steps alone: their last values, and who approves them."""

    def __init__(self, approvals: int) -> None:
        self.values: list[float] = []
        self.approved: list[dict[str, bool]] = []
        self.asked = approvals

    def satisfies(self, number: int) -> bool:
        yes = [name for name, approves in self.approved[number].items() if approves]
        return self.values[number] >= 0.8 and len(yes) >= self.asked


class World:
    def __init__(self, approvals: int) -> None:
        self.model = Model(approvals)
        self.versions: list[ArtifactVersion] = []
        self.publish(0.9)
        auc_check()
        rules = {"checks": ["good"], "approvals": approvals, "automatic": True, "fall_back": True}
        set_alias_policy(the_artifact(), "champion", rules, actor="root")

    def publish(self, auc: float) -> None:
        self.versions.append(model(f"v{len(self.versions)}", auc=auc))
        self.model.values.append(auc)
        self.model.approved.append({})

    def report(self, number: int, value: float) -> None:
        report(self.versions[number], Report("good", value=value), actor="monitor")
        self.model.values[number] = value

    def move(self, number: int, force: bool) -> None:
        roles = ("approver", "admin") if force else ("approver",)
        move_alias(
            self.versions[number], "champion", actor="root", reason="by hand", mover=Mover("root", roles, force=force)
        )

    def approve(self, number: int, actor: str, yes: bool) -> None:
        approve_version(self.versions[number], "champion", approve=yes, comment="", actor=actor, may_decide=True)
        self.model.approved[number][actor] = yes

    def handle(self, place: int) -> None:
        """One of what is to be done, in any order; and once more, as after a worker that was killed."""
        left = unhandled(limit=100)
        if left:
            pk = left[place % len(left)]
            handle(pk)
            assert not handle(pk)

    def do(self, step: tuple[Any, ...]) -> None:
        name, *rest = step
        if name in ("report", "move", "approve") and rest[0] >= len(self.versions):
            return
        try:
            with transaction.atomic():
                getattr(self, name)(*rest)
        except CausewayError:
            return

    def settle(self) -> None:
        while left := unhandled(limit=100):
            for pk in left:
                handle(pk)

    def check(self) -> None:
        """Settled: the alias satisfies its policy, or its last move was forced, or nothing could take its place."""
        alias = Alias.objects.filter(name="champion").select_related("version").first()
        moves = list(AliasMove.objects.order_by("pk"))
        for before, after in zip([None, *moves], moves, strict=False):  # a history without gaps
            assert after.from_version_id == (before.to_version_id if before is not None else None)
        assert len({move.happening_id for move in moves}) == len(moves)
        if alias is None:
            assert not moves
            return
        assert moves[-1].to_version_id == alias.version_id
        number = next(at for at, one in enumerate(self.versions) if one.pk == alias.version_id)
        policy = policy_of(alias.artifact_id, "champion")
        assert policy is not None
        alias.version.refresh_from_db()
        merit = not failing([one for one in clauses_of(policy, alias.version, "champion") if one.name != "quarantine"])
        assert merit is self.model.satisfies(number)
        stranded = Happening.objects.filter(kind="alias.stranded", version=alias.version).exists()
        assert merit or moves[-1].forced or stranded


@settings(max_examples=40)
@given(steps=STEPS, approvals=st.integers(0, 1))
def test_the_pointer_satisfies_its_policy_or_is_marked(steps: list[tuple[Any, ...]], approvals: int) -> None:
    with transaction.atomic():
        world = World(approvals)
        for step in steps:
            world.do(step)
        world.settle()
        world.check()
        transaction.set_rollback(True)


def test_each_move_that_followed_by_itself_has_one_cause() -> None:
    world = World(0)
    for step in [("publish", 0.9), ("handle", 0), ("handle", 0), ("report", 1, 0.4), ("report", 1, 0.4)]:
        world.do(step)
    world.settle()
    world.check()
    causes = Happening.objects.filter(kind="alias.fallen_back").values_list("cause__kind", "cause__version__version")
    assert list(causes) == [("check.failed", "v1")]
