"""What an approval of a version was about, as a digest: how it is computed is known further up, where decks and lineage
are. An approval of what has changed since counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from artifacts.models import ArtifactVersion

_digest_of: Callable[[ArtifactVersion], str] | None = None


def install(digest_of: Callable[[ArtifactVersion], str]) -> None:
    """`digest_of(version)`: of what there is to review of it now, its deck, card, metrics and lineage among it."""
    global _digest_of
    _digest_of = digest_of


def reviewed(version: ArtifactVersion) -> str:
    """The digest of what there is to review now; empty where nobody installed how to compute it."""
    return _digest_of(version) if _digest_of is not None else ""


def unchanged(version: ArtifactVersion, digest: str) -> bool:
    """Whether what was reviewed is still so; what was approved before digests were kept is taken for that."""
    return not digest or digest == reviewed(version)
