"""A launch plan that triggers itself: each prime starts the search for the next one, until the plan is deactivated."""

from typing import Annotated

from causeway import OnArtifact
from flytekit import LaunchPlan, task, workflow
from flytekit.core.artifact import Artifact

LargestPrime = Artifact(name="largest-prime")


@task
def next_prime(prime: int) -> Annotated[int, LargestPrime]:
    candidate = prime + 1
    while candidate < 2 or any(candidate % divisor == 0 for divisor in range(2, int(candidate**0.5) + 1)):
        candidate += 1
    return candidate


@workflow
def find_next_prime(prime: int = LargestPrime.query()) -> int:
    return next_prime(prime=prime)


find_next_prime_again = LaunchPlan.get_or_create(
    name="find_next_prime_again",
    workflow=find_next_prime,
    trigger=OnArtifact(trigger_on=LargestPrime, inputs={"prime": LargestPrime}),
)
