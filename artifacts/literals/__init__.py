"""FlyteIDL literals: the only place that turns them into something a person or JSON can read, and back."""

from artifacts.literals.casting import is_castable
from artifacts.literals.checking import check_literal
from artifacts.literals.decode import to_json
from artifacts.literals.encode import from_json, name_of_variant, union_of
from artifacts.literals.identity import (
    carried,
    carry,
    digest,
    marks,
    parts,
    primary_uri,
    show_mounted,
    unmarked,
    uris,
    without_marks,
)
from artifacts.literals.typed import from_text, text_of
from artifacts.literals.types import columns_of, describe_type, infer_type, is_optional, kind_of

__all__ = [
    "carried",
    "carry",
    "check_literal",
    "columns_of",
    "describe_type",
    "digest",
    "from_json",
    "from_text",
    "infer_type",
    "is_castable",
    "is_optional",
    "kind_of",
    "marks",
    "name_of_variant",
    "parts",
    "primary_uri",
    "show_mounted",
    "text_of",
    "to_json",
    "union_of",
    "unmarked",
    "uris",
    "without_marks",
]
