"""What libraries for the quality of data found, as a table that sorts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from causeway.decks.tables import table

MOST_TEXT = 200  # letters of a cell


def quality(result: Any, *, title: str = "Data quality") -> str:
    """Of a report of:

    - pandera (0.35): the `SchemaErrors` of `validate(lazy=True)`, over pandas or Polars: each case that failed
    - Great Expectations (1.x): the result of a validation or a checkpoint: each expectation
    - WhyLogs (1.6): a profile or its view: each column with its counts; constraints of one: each of them

    ValueError for anything else.
    """
    rows = list(rows_of(result))
    if not rows:
        return table([{"result": "nothing failed"}], title=title)
    return table(rows, columns=list(rows[0]), title=title)


def passed(result: Any) -> bool:
    """Whether all of it did; a WhyLogs profile only describes. ValueError as of `quality`."""
    if hasattr(result, "failure_cases"):
        return False
    if hasattr(result, "generate_constraints_report"):
        return all(row["holds"] == "yes" for row in rows_of(result))
    if hasattr(result, "success"):
        return bool(result.success)
    list(rows_of(result))
    return True


def rows_of(result: Any) -> Iterator[dict[str, Any]]:
    """The rows of `quality`."""
    if hasattr(result, "failure_cases"):
        yield from cases_of(result.failure_cases)
    elif hasattr(result, "run_results"):  # a checkpoint: validations by name
        for one in result.run_results.values():
            yield from rows_of(one)
    elif hasattr(result, "to_json_dict"):
        yield from map(_expectation, result.to_json_dict().get("results", []))
    elif hasattr(result, "generate_constraints_report"):
        for one in result.generate_constraints_report():
            yield {"constraint": short(str(one[0])), "holds": "no" if one[2] else "yes"}
    elif hasattr(result, "view") or hasattr(result, "get_columns"):
        view = result.view() if hasattr(result, "view") else result
        yield from map(_profiled, view.to_pandas().reset_index().to_dict("records"))
    else:
        raise ValueError(
            f"{type(result).__module__}.{type(result).__name__} is no report of pandera, Great Expectations or WhyLogs"
        )


def cases_of(cases: Any) -> Iterator[dict[str, Any]]:
    """Of pandera's failure cases, the same columns of pandas and of Polars frames."""
    rows = cases.to_dicts() if hasattr(cases, "to_dicts") else cases.to_dict("records")
    for row in rows:
        yield {name: short(row.get(name)) for name in ("column", "check", "failure_case", "index")}


def _expectation(told: Mapping[str, Any]) -> dict[str, Any]:
    config, found = told.get("expectation_config", {}), told.get("result", {})
    exception = (told.get("exception_info") or {}).get("exception_message")
    return {
        "expectation": config.get("type", config.get("expectation_type", "")),
        "column": short(config.get("kwargs", {}).get("column", "")),
        "passed": "yes" if told.get("success") else "no",
        "unexpected": found.get("unexpected_count"),
        "unexpected %": found.get("unexpected_percent"),
        "observed": short(exception or found.get("observed_value", found.get("partial_unexpected_list"))),
    }


def _profiled(row: Mapping[str, Any]) -> dict[str, Any]:
    names = {"counts/n": "values", "counts/null": "missing", "cardinality/est": "distinct"}
    names |= {"distribution/min": "least", "distribution/mean": "mean", "distribution/max": "most"}
    return {"column": row["column"], **{said: short(row.get(name)) for name, said in names.items()}}


def short(value: Any) -> Any:
    """A number, or a text that JSON and databases take: no NaN, no NUL, no half characters."""
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    text = str(value).replace("\0", "␀").encode(errors="replace").decode()
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}…"
