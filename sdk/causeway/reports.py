"""What a report of a validator of data says, as checks: of pandera, Great Expectations and WhyLogs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from causeway.decks.quality import cases_of, rows_of, short
from causeway.facts import Check

MOST_CASES = 20  # of what failed, kept as evidence
MOST_MESSAGE = 250  # letters


def of_pandera(data: Any, schema: Any, error: Any, *, warns: bool = False) -> Iterator[Check]:
    """`error`: the SchemaErrors or SchemaError, or None; `value` of the check is the number of cases that failed."""
    name = _name("pandera", getattr(schema, "name", None))
    numbers = {"rows": float(len(data))}
    if error is None:
        yield Check(name, True, value=0.0, numbers=numbers, message="every row keeps to the schema")
        return
    found = error.failure_cases
    if hasattr(found, "columns"):  # of millions of rows no more than what is shown is taken out of the frame
        count, cases = len(found), list(cases_of(found.head(MOST_CASES)))
        kinds = list(cases_of(found.drop_duplicates(["column", "check"]).head(MOST_CASES)))
    else:
        count, cases = 1, [{"check": short(str(error))}]
        kinds = cases
    told = ", ".join(f"{one.get('column') or 'frame'} {one.get('check')}" for one in kinds)
    yield Check(
        name,
        False,
        value=float(count),
        numbers=numbers,
        message=f"{count} cases failed: {told}"[:MOST_MESSAGE],
        evidence={"cases": cases},
        severity="warn" if warns else "",
    )


def of_checkpoint(result: Any) -> Iterator[Check]:
    """The result of a checkpoint of Great Expectations 0.18 or 1.x: a check for each suite that it ran.

    `value` is the number of expectations that were not met.
    """
    listed = getattr(result, "list_validation_results", None)
    for one in listed() if listed is not None else result.run_results.values():
        yield from of_validation(one)


def of_validation(result: Any) -> Iterator[Check]:
    """What a suite of expectations found; of a single expectation nothing: who asks for one looks around."""
    told = result.to_json_dict()
    if "results" not in told:
        return
    suite = told.get("suite_name") or (told.get("meta") or {}).get("expectation_suite_name")
    rows = list(rows_of(result))
    unmet = [row for row in rows if row["passed"] == "no"]
    names = ", ".join(dict.fromkeys(f"{row['column']} {row['expectation']}".strip() for row in unmet))
    yield Check(
        _name("expectations", suite),
        bool(told["success"]),
        value=float(len(unmet)),
        numbers={"expectations": float(len(rows))},
        message=(f"not met: {names}" if unmet else f"all {len(rows)} expectations are met")[:MOST_MESSAGE],
        evidence={"unmet": unmet[:MOST_CASES]} if unmet else {},
    )


def of_constraints(said_of: Iterable[Any]) -> Iterator[Check]:
    """The report of WhyLogs' constraints of a profile. `value` is the number of those that do not hold."""
    report = [{"constraint": str(one[0]), "holds": not one[2]} for one in said_of]
    broken = [str(one["constraint"]) for one in report if not one["holds"]]
    said = f"do not hold: {', '.join(broken)}" if broken else f"all {len(report)} constraints hold"
    yield Check(
        "whylogs-constraints",
        not broken,
        value=float(len(broken)),
        numbers={"constraints": float(len(report))},
        message=said[:MOST_MESSAGE],
        evidence={"broken": broken[:MOST_CASES]} if broken else {},
    )


def _name(kind: str, of: object) -> str:
    """As checks may be called: letters, digits, '_', '.' and '-', at most 64."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{kind}-{of}" if of else kind)[:64].rstrip("-")
