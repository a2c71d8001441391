from __future__ import annotations

import base64
from typing import Any

from causeway import DataCard, ModelCard, wire
from causeway.cards import Card, CardFormat
from flytekit.core.context_manager import FlyteContextManager


def sent(card: Card) -> Any:
    key, value = card.serialize_to_string(FlyteContextManager.current_context(), "o0")
    assert key == "_uc"
    return wire.Card.FromString(base64.b64decode(value))


def test_it_sends_markdown_inline() -> None:
    card = sent(ModelCard("# Model\n\nauc 0.9"))
    assert (card.type, card.text_type, card.body, card.uri) == (1, 0, "# Model\n\nauc 0.9", "")


def test_it_tells_data_cards_and_html_apart() -> None:
    card = sent(DataCard("<p>rides</p>", format=CardFormat.HTML))
    assert (card.type, card.text_type) == (2, 1)


def test_it_makes_a_card_of_any_object() -> None:
    assert sent(DataCard.from_obj({"rows": 3})).body == "{'rows': 3}"
