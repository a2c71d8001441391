"""Model and data cards: Markdown or HTML that travels with one version of an artifact."""

from __future__ import annotations

import base64
import enum
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from flytekit.core.context_manager import FlyteContext

CARD_METADATA_KEY = "_uc"  # the literal metadata key under which the control plane looks for a card
MAX_INLINE_BYTES = 32 * 1024  # a larger card is uploaded beside the outputs; literals stay small


class CardType(enum.IntEnum):
    """flyteidl.artifact.Card.type"""

    UNKNOWN = 0
    MODEL = 1
    DATASET = 2


class CardFormat(enum.IntEnum):
    """flyteidl.artifact.Card.text_type"""

    MARKDOWN = 0
    HTML = 1


@dataclass
class Card:
    """Text for people about one version. `text` is Markdown unless `format` says HTML; Causeway sanitises both.

    Pass it to `Artifact.create_from(value, ModelCard("# ..."))` in the task that makes the value.
    """

    text: str
    format: CardFormat = CardFormat.MARKDOWN
    card_type: ClassVar[CardType] = CardType.UNKNOWN

    @classmethod
    def from_obj(cls, card_obj: Any) -> Card:
        """A card of anything with a useful `str()`."""
        return cls(text=str(card_obj))

    def serialize_to_string(self, ctx: FlyteContext, variable_name: str) -> tuple[str, str]:
        """flytekit's `SerializableToString`: the metadata key and value to put on the output's literal."""
        from causeway import wire  # here, so that the client can send a card without protobuf and flytekit

        card = wire.Card(type=int(self.card_type), text_type=int(self.format))
        if len(self.text.encode()) > MAX_INLINE_BYTES and _runs_remotely(ctx):
            card.uri = ctx.file_access.put_raw_data(io.StringIO(self.text), file_name=f"card_{variable_name}")
        else:
            card.body = self.text
        return CARD_METADATA_KEY, base64.b64encode(card.SerializeToString()).decode()


@dataclass
class ModelCard(Card):
    """A card that describes a model: its purpose, data, metrics and limits."""

    card_type: ClassVar[CardType] = CardType.MODEL


@dataclass
class DataCard(Card):
    """A card that describes a dataset: its origin, columns, size and known gaps."""

    card_type: ClassVar[CardType] = CardType.DATASET


def _runs_remotely(ctx: FlyteContext) -> bool:
    from flytekit.core.context_manager import ExecutionState

    return ctx.execution_state is not None and ctx.execution_state.mode == ExecutionState.Mode.TASK_EXECUTION
