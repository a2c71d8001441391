"""Which features a model looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from causeway.decks.drawing import bars
from causeway.decks.page import folded, listed, numbers, plain_table, same_length, section

MOST_BARS = 25


def importance(model: Any, *, names: Sequence[str] | None = None, title: str = "Feature importance") -> str:
    """Bars of the most important features, and all of them in a table.

    :param model: numbers by name; or a fitted model: of scikit-learn (`feature_importances_`, or `coef_` of one
        output, also as the last step of a pipeline) or of XGBoost
    :param names: of the features; default those that the model was fitted with, else their numbers
    Raises ValueError for a model that says none, and where there are not as many names.
    """
    found = dict(model) if isinstance(model, Mapping) else _of_model(model, names)
    if not found:
        raise ValueError("the model names no features")
    values = numbers(list(found.values()), "importances")
    rows = sorted(zip(map(str, found), values, strict=True), key=lambda row: -abs(row[1]))
    drawn = bars(rows[:MOST_BARS], label=f"{title}: {rows[0][0]} most of all")
    return section(title, drawn, folded("Numbers", plain_table(["Feature", "Importance"], rows)))


def shap_importance(model: Any, rows: Any, *, names: Sequence[str] | None = None, title: str = "SHAP values") -> str:
    """The mean size of what each feature adds to a prediction, by the library shap. ModuleNotFoundError without it.

    :param rows: cases to explain, as the model takes them; some hundred are enough
    """
    import shap  # type: ignore[import-not-found, unused-ignore]

    explained = shap.Explainer(model, rows)(rows)
    values = explained.values
    while values.ndim > 2:  # several outputs
        values = abs(values).mean(axis=-1)
    means = listed(abs(values).mean(axis=0))
    called = list(names or explained.feature_names or map(str, range(len(means))))
    same_length(names=called, values=means)
    return importance(dict(zip(called, means, strict=True)), title=title)


def _of_model(model: Any, names: Sequence[str] | None) -> dict[str, float]:
    if hasattr(model, "get_score"):  # an XGBoost booster, which leaves out what it never asked for
        score: dict[str, float] = dict(model.get_score(importance_type="gain"))
        every = list(names or model.feature_names or score)
        return {name: float(score.get(name, score.get(f"f{number}", 0.0))) for number, name in enumerate(every)}
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    values = getattr(last, "feature_importances_", None)
    if values is None:
        values = getattr(last, "coef_", None)
    if values is None:
        raise ValueError(f"{type(model).__name__} says no feature_importances_ and no coef_; hand over numbers by name")
    given = listed(values)
    if given and isinstance(given[0], list):
        if len(given) > 1:
            raise ValueError("coef_ has several outputs; hand over numbers by name for one of them")
        given = given[0]
    known = getattr(last, "feature_names_in_", None)
    told = names if names is not None else listed(known) if known is not None else range(len(given))
    called = [str(one) for one in told]
    same_length(names=called, values=given)
    return dict(zip(called, given, strict=True))
