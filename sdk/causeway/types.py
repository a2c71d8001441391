"""Types of frameworks whose newest releases flytekit 1.16 cannot carry, or carries as a pickle that only Python reads.

flytekit loads this by itself where the SDK is installed (entry point `flytekit.plugins`). A framework is touched once
the program has imported it:

    torch.nn.Module        read again since torch 2.6, which refuses to unpickle modules unless it is told to
    xgboost.Booster        XGBoost's own format (`.ubj`), which every release and language reads, in place of a pickle
    datasets.DatasetDict   a folder with a Parquet file for each split; flytekit takes it for a dict and fails
    numpy.ndarray          as an artifact: flytekit refuses every annotation of an array that it does not know
    h2o.model.ModelBase    H2O's binary model in place of a pickle, which names no more than a key of a server

What is read so is said in the log. A plugin of yours that registers one of these types first keeps it. What validators
of data say is listened to as well (causeway.validators), and data declared as mounted is linked (causeway.mounting).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flytekit.core.context_manager import FlyteContext
from flytekit.core.type_engine import TypeEngine, TypeTransformer, TypeTransformerFailedError
from flytekit.models.core.types import BlobType
from flytekit.models.literals import Blob, BlobMetadata, Literal, Scalar
from flytekit.models.types import LiteralType

from causeway import images, mounting, validators

logger = logging.getLogger("causeway.types")

XGBOOST, DATASETS, H2O = "XGBoostModel", "HuggingFaceDatasetDict", "H2OModel"
H2O_PORTS = "54400+"  # the first free one: at H2O's own 54321 a task would meet the server of another
_SINGLE, _MANY = BlobType.BlobDimensionality.SINGLE, BlobType.BlobDimensionality.MULTIPART


class _Files(TypeTransformer[Any]):  # type: ignore[misc]
    """A value that is written to files of a format of its own. `written` gets a path that is not there yet."""

    def __init__(self, python_type: type, kind: str, dimensionality: int) -> None:
        super().__init__(name=kind, t=python_type)
        self.blob = BlobType(format=kind, dimensionality=dimensionality)

    def get_literal_type(self, t: type[Any]) -> LiteralType:
        return LiteralType(blob=self.blob)

    def to_literal(self, ctx: FlyteContext, python_val: Any, python_type: type[Any], expected: LiteralType) -> Literal:
        if not isinstance(python_val, self.python_type):
            said = f"expected {self.python_type.__name__}, the task gave {type(python_val).__name__}"
            raise TypeTransformerFailedError(said)
        path = Path(ctx.file_access.get_random_local_path() + self.suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.write(python_val, path)
        put = ctx.file_access.put_raw_data
        uri = put(str(path), is_multipart=True) if self.blob.dimensionality == _MANY else put(str(path))
        return Literal(scalar=Scalar(blob=Blob(metadata=BlobMetadata(type=self.blob), uri=uri)))

    def to_python_value(self, ctx: FlyteContext, lv: Literal, expected_python_type: type[Any]) -> Any:
        many = self.blob.dimensionality == _MANY
        path = ctx.file_access.get_random_local_directory() if many else ctx.file_access.get_random_local_path()
        ctx.file_access.get_data(lv.scalar.blob.uri, path, is_multipart=many)
        return self.read(Path(path))

    def guess_python_type(self, literal_type: LiteralType) -> type[Any]:
        if literal_type.blob is not None and literal_type.blob.format == self.blob.format:
            found: type[Any] = self.python_type
            return found
        raise ValueError(f"{self.name} cannot reverse {literal_type}")

    suffix = ""

    def write(self, value: Any, path: Path) -> None:
        raise NotImplementedError

    def read(self, path: Path) -> Any:
        raise NotImplementedError


def _take_torch(torch: Any) -> None:
    """flytekit's own, which says which file it is; a plain `torch.load` since 2.6 takes tensors and states only."""
    from flytekit.extras.pytorch.native import PyTorchModuleTransformer

    original = PyTorchModuleTransformer.to_python_value

    def to_python_value(self: Any, ctx: FlyteContext, lv: Literal, expected_python_type: type[Any]) -> Any:
        load = torch.load

        def load_whole(*args: Any, **options: Any) -> Any:
            logger.info("torch.nn.Module is read with weights_only=False, which torch >= 2.6 has to be told")
            return load(*args, **{"weights_only": False, **options})

        torch.load = load_whole
        try:
            return original(self, ctx, lv, expected_python_type)
        finally:
            torch.load = load

    PyTorchModuleTransformer.to_python_value = to_python_value


def _take_xgboost(xgboost: Any) -> None:
    class Booster(_Files):
        suffix = ".ubj"

        def write(self, value: Any, path: Path) -> None:
            value.save_model(path)

        def read(self, path: Path) -> Any:
            found = xgboost.Booster()
            found.load_model(bytearray(path.read_bytes()))  # by its content: the path may have no ending
            return found

    _register(Booster(xgboost.Booster, XGBOOST, _SINGLE))


def _take_datasets(datasets: Any) -> None:
    class Splits(_Files):
        def write(self, value: Any, path: Path) -> None:
            path.mkdir()
            for name, split in value.items():
                split.to_parquet(path / f"{name}.parquet")

        def read(self, path: Path) -> Any:
            files = sorted(path.rglob("*.parquet"))
            return datasets.DatasetDict({file.stem: datasets.Dataset.from_parquet(str(file)) for file in files})

    _register(Splits(datasets.DatasetDict, DATASETS, _MANY))


def _take_numpy(numpy: Any) -> None:
    """Its own words are kwtypes (`allow_pickle`) and hash methods; an artifact says nothing about how to store."""
    from collections import OrderedDict
    from typing import Annotated, get_args, get_origin

    from flytekit.core.hash import HashMethod
    from flytekit.types.numpy import ndarray

    original = ndarray.extract_metadata

    def extract_metadata(t: Any) -> Any:
        if get_origin(t) is not Annotated:
            return original(t)
        kind, *said = get_args(t)
        known = [one for one in said if isinstance(one, (OrderedDict, HashMethod))]
        return original(Annotated[(kind, *known)] if known else kind)

    ndarray.extract_metadata = extract_metadata


def _take_h2o(h2o: Any) -> None:
    class Binary(_Files):
        """What the same release of H2O reads: a MOJO, which later ones read, wants H2O-3 Secure."""

        def write(self, value: Any, path: Path) -> None:
            h2o.download_model(value, path=str(path.parent), filename=path.name)

        def read(self, path: Path) -> Any:
            """In the server that the task began, or else in one of its own on this machine, which ends with it."""
            if h2o.connection() is None or not h2o.connection().connected:
                server = h2o.backend.H2OLocalServer.start(port=H2O_PORTS, bind_to_localhost=True, verbose=False)
                h2o.connect(server=server, verbose=False)
            return h2o.upload_model(str(path))

    _register(Binary(h2o.model.ModelBase, H2O, _SINGLE))


def _register(transformer: TypeTransformer[Any]) -> None:
    try:
        TypeEngine.register(transformer)
    except ValueError:
        logger.info("%s stays with the plugin that registered it", transformer.python_type)


_TAKEN: dict[str, Callable[[Any], None]] = {
    "torch": _take_torch,
    "xgboost": _take_xgboost,
    "datasets": _take_datasets,
    "numpy": _take_numpy,
    "h2o": _take_h2o,
}


def register() -> None:
    """Whenever flytekit looks whether a framework has come, so do we. Once; does nothing the next time."""
    original = TypeEngine.lazy_import_transformers
    if getattr(original, "causeway", False):
        return

    def lazy_import_transformers() -> None:
        original()
        for name in [name for name in _TAKEN if hasattr(sys.modules.get(name), "__version__")]:
            _TAKEN.pop(name)(sys.modules[name])
        validators.take()

    lazy_import_transformers.causeway = True  # type: ignore[attr-defined]
    TypeEngine.lazy_import_transformers = staticmethod(lazy_import_transformers)


register()
images.register()
mounting.register()
validators.register()
