"""An attempt that runs no program: what it takes in comes out, wherever it was placed."""

from __future__ import annotations

from flyteidl.core import literals_pb2

from artifacts.store import ObjectStore
from scheduler.attempts.outcomes import Outcome
from scheduler.attempts.spec import AttemptSpec
from scheduler.phases import AttemptPhase
from scheduler.uris import OUTPUTS


def echo(spec: AttemptSpec, store: ObjectStore) -> Outcome:
    """Write the outputs that `spec.echo` names. Raises what the store raises."""
    outputs, addresses = spec.echo or {}, spec.addresses
    taken = literals_pb2.LiteralMap.FromString(store.get(addresses.inputs)).literals if outputs else {}
    given = literals_pb2.LiteralMap(literals={name: taken[source] for source, name in outputs.items()})
    uri = store.join(addresses.output_prefix, OUTPUTS)
    store.put(uri, given.SerializeToString())
    return Outcome(AttemptPhase.SUCCEEDED, output_uri=uri)
