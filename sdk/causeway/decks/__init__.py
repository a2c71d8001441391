"""What a training shows of itself: pieces of a deck, static HTML that needs no script and can be read by everybody.

from causeway import decks

@task(enable_deck=True)
def evaluate(...) -> float:
    decks.show(decks.confusion_matrix(y, y_hat), decks.roc(y, score), decks.importance(model, names=columns))

Each function gives HTML; every drawing has its numbers in a table. Sequences may be lists, arrays or columns.
"""

from __future__ import annotations

from causeway.decks.curves import precision_recall, roc
from causeway.decks.importances import importance, shap_importance
from causeway.decks.matrices import confusion_matrix
from causeway.decks.page import show
from causeway.decks.quality import quality
from causeway.decks.residuals import residuals
from causeway.decks.tables import table

__all__ = [
    "confusion_matrix",
    "importance",
    "precision_recall",
    "quality",
    "residuals",
    "roc",
    "shap_importance",
    "show",
    "table",
]
