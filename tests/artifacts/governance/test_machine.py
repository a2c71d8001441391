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
from artifacts.governance.policies import Policy, failing
from artifacts.models import Alias, AliasMove, ArtifactVersion, Happening
from scheduler.happenings import handle, unhandled
from tests.artifacts.governance.making import auc_check, model, the_artifact

pytestmark = pytest.mark.django_db

VERSIONS = st.integers(0, 4)
REGIONS = st.sampled_from(["SEA", "LAX"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.sampled_from([0.5, 0.85, 0.9]), REGIONS),
        st.tuples(st.just("keep"), st.booleans()),
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
    def __init__(self, approvals: int, apart: bool) -> None:
        self.model = Model(approvals)
        self.versions: list[ArtifactVersion] = []
        self.publish(0.9, "SEA")
        auc_check()
        self.keep(apart)

    def keep(self, apart: bool) -> None:
        """The alias per region, or for all of them."""
        rules = {"checks": ["good"], "approvals": self.model.asked, "automatic": True, "fall_back": True}
        set_alias_policy(the_artifact(), "champion", {**rules, "per": ["region"] if apart else []}, actor="root")

    def publish(self, auc: float, region: str) -> None:
        self.versions.append(model(f"v{len(self.versions)}", auc=auc, region=region))
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
        """Settled: each pointer satisfies its policy, or its last move was forced, or nothing could take its place."""
        policy = policy_of(the_artifact().pk, "champion")
        assert policy is not None
        moves: dict[str, list[AliasMove]] = {}
        for move in AliasMove.objects.order_by("pk"):
            own = moves.setdefault(move.called, [])
            assert move.from_version_id == (own[-1].to_version_id if own else None)  # a history without gaps
            for version in filter(None, (move.from_version, move.to_version)):
                assert move.partitions.items() <= version.partitions.items()
            own.append(move)
        assert AliasMove.objects.filter(happening=None).count() % 2 == 0
        pointers = {alias.called: alias for alias in Alias.objects.filter(name="champion").select_related("version")}
        assert pointers.keys() == {called for called, own in moves.items() if own[-1].to_version_id is not None}
        for called, alias in pointers.items():
            assert tuple(alias.partitions) == policy.per
            assert moves[called][-1].to_version_id == alias.version_id
            self.check_one(alias, policy, [move for move in AliasMove.objects.order_by("pk") if move.happening_id])

    def check_one(self, alias: Alias, policy: Policy, moves: list[AliasMove]) -> None:
        number = next(at for at, one in enumerate(self.versions) if one.pk == alias.version_id)
        alias.version.refresh_from_db()
        merit = not failing([one for one in clauses_of(policy, alias.version, "champion") if one.name != "quarantine"])
        assert merit is self.model.satisfies(number)
        stranded = Happening.objects.filter(kind="alias.stranded", version=alias.version).exists()
        forced = [move for move in moves if move.to_version_id == alias.version_id][-1].forced
        assert merit or forced or stranded


@settings(max_examples=40)
@given(steps=STEPS, approvals=st.integers(0, 1), apart=st.booleans())
def test_each_pointer_satisfies_its_policy_or_is_marked(
    steps: list[tuple[Any, ...]], approvals: int, apart: bool
) -> None:
    with transaction.atomic():
        world = World(approvals, apart)
        for step in steps:
            world.do(step)
        world.settle()
        world.check()
        transaction.set_rollback(True)


def test_each_move_that_followed_by_itself_has_one_cause() -> None:
    world = World(0, apart=False)
    for step in [("publish", 0.9, "LAX"), ("handle", 0), ("handle", 0), ("report", 1, 0.4), ("report", 1, 0.4)]:
        world.do(step)
    world.settle()
    world.check()
    causes = Happening.objects.filter(kind="alias.fallen_back").values_list("cause__kind", "cause__version__version")
    assert list(causes) == [("check.failed", "v1")]
