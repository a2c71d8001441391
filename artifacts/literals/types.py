"""What a LiteralType says to people: its name, and the kind of artifact it makes."""

from __future__ import annotations

from flyteidl.core import literals_pb2, types_pb2

from artifacts.models.artifact import Kind

SIMPLE_NAMES = {
    types_pb2.NONE: "none",
    types_pb2.INTEGER: "int",
    types_pb2.FLOAT: "float",
    types_pb2.STRING: "str",
    types_pb2.BOOLEAN: "bool",
    types_pb2.DATETIME: "datetime",
    types_pb2.DURATION: "duration",
    types_pb2.BINARY: "binary",
    types_pb2.ERROR: "error",
    types_pb2.STRUCT: "struct",
}

# Blob formats of flytekit's own and its plugins' model types, and the usual file endings of saved models.
MODEL_FORMATS = frozenset(
    {
        "pytorchmodule",
        "pytorchcheckpoint",
        "sklearnestimator",
        "tensorflowmodel",
        "xgboostmodel",
        "h2omodel",
        "onnx",
        "joblib",
        "pt",
        "pth",
        "h5",
        "keras",
        "safetensors",
        "gguf",
        "pmml",
        "xgb",
        "ubj",
        "mlmodel",
    }
)
DATASET_FORMATS = frozenset({"numpyarray", "pytorchtensor", "tfrecord", "parquet", "csv", "jsonl"})
# Of transformers, that say so of a folder, too; a folder that a program says is of csv is a directory
DATASET_FOLDERS = frozenset({"huggingfacedatasetdict", "tensorflowrecord", "tensorflowdataset"})
MODEL_MODULES = ("sklearn.", "torch.", "keras.", "tensorflow.", "xgboost.", "lightgbm.", "catboost.", "transformers.")
DATASET_MODULES = ("pandas.", "polars.", "pyarrow.", "numpy.", "datasets.")
PICKLE_FORMAT = "PythonPickle"


def describe_type(literal_type: types_pb2.LiteralType) -> str:
    """The type as a Python programmer would write it: `list[int]`, `file[csv]`, `int | none`, `Point(x: int)`."""
    which = literal_type.WhichOneof("type")
    if which == "simple":
        if literal_type.simple == types_pb2.STRUCT:
            return _describe_struct(literal_type)
        return SIMPLE_NAMES.get(literal_type.simple, "unknown")
    if which == "collection_type":
        return f"list[{describe_type(literal_type.collection_type)}]"
    if which == "map_value_type":
        return f"dict[str, {describe_type(literal_type.map_value_type)}]"
    if which == "union_type":
        return " | ".join(describe_type(variant) for variant in literal_type.union_type.variants)
    if which == "enum_type":
        return f"enum({', '.join(literal_type.enum_type.values)})"
    if which == "blob":
        return _describe_blob(literal_type)
    if which == "structured_dataset_type":
        dataset = literal_type.structured_dataset_type
        columns = ", ".join(f"{column.name}: {describe_type(column.literal_type)}" for column in dataset.columns)
        return f"dataset({columns})" if columns else "dataset"
    if which == "schema":
        names = types_pb2.SchemaType.SchemaColumn.SchemaColumnType
        columns = ", ".join(
            f"{column.name}: {names.Name(column.type).lower()}" for column in literal_type.schema.columns
        )
        return f"schema({columns})" if columns else "schema"
    return "unknown"


def columns_of(literal_type: types_pb2.LiteralType) -> dict[str, str]:
    """The columns that a frame declares, or the fields of a dataclass, with their types; else empty."""
    which = literal_type.WhichOneof("type")
    if which == "structured_dataset_type":
        return {one.name: describe_type(one.literal_type) for one in literal_type.structured_dataset_type.columns}
    if which == "schema":
        names = types_pb2.SchemaType.SchemaColumn.SchemaColumnType
        return {one.name: names.Name(one.type).lower() for one in literal_type.schema.columns}
    if which == "simple":
        return {name: describe_type(one) for name, one in sorted(literal_type.structure.dataclass_type.items())}
    return {}


def _describe_struct(literal_type: types_pb2.LiteralType) -> str:
    title = literal_type.metadata.fields["title"].string_value if "title" in literal_type.metadata.fields else ""
    fields = literal_type.structure.dataclass_type
    if not fields:
        return title or "struct"
    inside = ", ".join(f"{name}: {describe_type(fields[name])}" for name in sorted(fields))
    return f"{title or 'struct'}({inside})"


def python_class(literal_type: types_pb2.LiteralType) -> str:
    """The class that flytekit's pickle transformer notes in the type's metadata, without `<class '...'>` around it."""
    if "python_class_name" not in literal_type.metadata.fields:
        return ""
    name = literal_type.metadata.fields["python_class_name"].string_value
    return name.removeprefix("<class '").removesuffix("'>")


def _describe_blob(literal_type: types_pb2.LiteralType) -> str:
    blob = literal_type.blob
    if blob.format == PICKLE_FORMAT:
        return f"pickle[{python_class(literal_type) or 'object'}]"
    base = "directory" if blob.dimensionality == types_pb2.BlobType.MULTIPART else "file"
    return f"{base}[{blob.format}]" if blob.format else base


def kind_of(literal_type: types_pb2.LiteralType) -> Kind:
    """The kind of an artifact of this type, unless somebody says otherwise."""
    which = literal_type.WhichOneof("type")
    if which in ("structured_dataset_type", "schema"):
        return Kind.DATASET
    if which == "blob":
        return _blob_kind(literal_type)
    if which == "collection_type":
        return kind_of(literal_type.collection_type)
    if which == "map_value_type":
        return kind_of(literal_type.map_value_type)
    if which == "union_type":
        kinds = {kind_of(variant) for variant in literal_type.union_type.variants if not is_none(variant)}
        return kinds.pop() if len(kinds) == 1 else Kind.OTHER
    if which == "enum_type":
        return Kind.VALUE
    if which == "simple" and literal_type.simple not in (types_pb2.NONE, types_pb2.ERROR):
        return Kind.VALUE
    return Kind.OTHER


def _blob_kind(literal_type: types_pb2.LiteralType) -> Kind:
    blob = literal_type.blob
    name = blob.format.lower().lstrip(".")
    if name in MODEL_FORMATS:
        return Kind.MODEL
    if blob.format == PICKLE_FORMAT:
        module = python_class(literal_type)
        if module.startswith(MODEL_MODULES):
            return Kind.MODEL
        return Kind.DATASET if module.startswith(DATASET_MODULES) else Kind.OTHER
    if name in DATASET_FOLDERS:
        return Kind.DATASET
    if blob.dimensionality == types_pb2.BlobType.MULTIPART:
        return Kind.DIRECTORY
    return Kind.DATASET if name in DATASET_FORMATS else Kind.FILE


def is_none(literal_type: types_pb2.LiteralType) -> bool:
    return literal_type.WhichOneof("type") == "simple" and literal_type.simple == types_pb2.NONE


def is_optional(literal_type: types_pb2.LiteralType) -> bool:
    """A union that None belongs to; Flyte lets such an input unbound."""
    return any(is_none(variant) for variant in literal_type.union_type.variants)


def simple(simple_type: types_pb2.SimpleType) -> types_pb2.LiteralType:
    return types_pb2.LiteralType(simple=simple_type)


_PRIMITIVES = {
    "integer": simple(types_pb2.INTEGER),
    "float_value": simple(types_pb2.FLOAT),
    "string_value": simple(types_pb2.STRING),
    "boolean": simple(types_pb2.BOOLEAN),
    "datetime": simple(types_pb2.DATETIME),
    "duration": simple(types_pb2.DURATION),
}
_NONE = simple(types_pb2.NONE)
_STRUCT = simple(types_pb2.STRUCT)
_BINARY = simple(types_pb2.BINARY)
_ERROR = simple(types_pb2.ERROR)
MSGPACK = "msgpack"


def infer_type(literal: literals_pb2.Literal) -> types_pb2.LiteralType | None:
    """The type that can be told from a literal alone; None when it holds nothing. The result is not to be changed."""
    which = literal.WhichOneof("value")
    if which == "scalar":
        return infer_scalar(literal.scalar)
    if which == "collection":
        return types_pb2.LiteralType(collection_type=_infer_many(literal.collection.literals))
    if which == "map":
        return types_pb2.LiteralType(map_value_type=_infer_many(literal.map.literals.values()))
    if which == "offloaded_metadata":
        return literal.offloaded_metadata.inferred_type
    return None


def infer_scalar(scalar: literals_pb2.Scalar) -> types_pb2.LiteralType | None:
    which = scalar.WhichOneof("value")
    if which == "primitive":
        return _PRIMITIVES.get(scalar.primitive.WhichOneof("value") or "", _NONE)
    if which == "none_type":
        return _NONE
    if which == "generic":
        return _STRUCT
    if which == "binary":
        return _STRUCT if scalar.binary.tag == MSGPACK else _BINARY
    if which == "error":
        return _ERROR
    if which == "blob":
        return types_pb2.LiteralType(blob=scalar.blob.metadata.type) if scalar.blob.HasField("metadata") else None
    if which == "schema":
        return types_pb2.LiteralType(schema=scalar.schema.type)
    if which == "structured_dataset":
        return types_pb2.LiteralType(structured_dataset_type=scalar.structured_dataset.metadata.structured_dataset_type)
    if which == "union":
        return types_pb2.LiteralType(union_type=types_pb2.UnionType(variants=[scalar.union.type]))
    return None


def _infer_many(literals: object) -> types_pb2.LiteralType:
    """One type for all items of a collection: theirs when they agree, else a union; none when there are no items."""
    found: dict[bytes, types_pb2.LiteralType] = {}
    seen: set[int] = set()
    empty: types_pb2.LiteralType | None = None
    for literal in literals:  # type: ignore[attr-defined]
        inferred = infer_type(literal)
        if inferred is None or id(inferred) in seen:
            continue
        if literal.WhichOneof("value") == "collection" and not literal.collection.literals:
            empty = inferred
            continue
        if any(inferred is constant for constant in _CONSTANTS):
            seen.add(id(inferred))
        found.setdefault(inferred.SerializeToString(deterministic=True), inferred)
    if not found:
        return empty if empty is not None else _NONE
    if len(found) == 1:
        return next(iter(found.values()))
    return _union_of([found[key] for key in sorted(found)])


def _union_of(types: list[types_pb2.LiteralType]) -> types_pb2.LiteralType:
    variants: list[types_pb2.LiteralType] = []
    nested = False
    for literal_type in types:
        inner = literal_type.collection_type.union_type.variants
        if inner:
            nested = True
            variants.extend(inner)
        else:
            variants.append(literal_type)
    union = types_pb2.LiteralType(union_type=types_pb2.UnionType(variants=variants))
    return types_pb2.LiteralType(collection_type=union) if nested else union


_CONSTANTS = (*_PRIMITIVES.values(), _NONE, _STRUCT, _BINARY, _ERROR)
