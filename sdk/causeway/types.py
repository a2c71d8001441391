"""Types of frameworks whose newest releases flytekit 1.16 cannot carry, or carries as a pickle that only Python reads.

flytekit loads this by itself where the SDK is installed (entry point `flytekit.plugins`). A framework is touched once
the program has imported it:

    torch.nn.Module        read again since torch 2.6, which refuses to unpickle modules unless it is told to
    xgboost.Booster        XGBoost's own format (`.ubj`), which every release and language reads, in place of a pickle
    datasets.DatasetDict   a folder with a Parquet file for each split; flytekit takes it for a dict and fails
    numpy.ndarray          as an artifact: flytekit refuses every annotation of an array that it does not know
    h2o.model.ModelBase    H2O's binary model in place of a pickle, which names no more than a key of a server
    keras.Model            `.keras` with every backend, not TensorFlow's alone, and of a class that only its task knows
    tf.data.Dataset        the folder that TensorFlow saves; flytekit tries to pickle it and fails
    modin.pandas.DataFrame      a dataset that other libraries read (causeway.modin_frames); flytekit makes a pickle
    TFRecordFile, -Directory    as artifacts, and the parts of a directory in the order in which they were written

What is read so is said in the log. A plugin of yours that registers one of these types first keeps it. What validators
of data say is listened to as well (causeway.validators), and data declared as mounted is linked (causeway.mounting).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from flytekit.core.context_manager import FlyteContext
from flytekit.core.type_engine import TypeEngine, TypeTransformer, TypeTransformerFailedError
from flytekit.models.core.types import BlobType
from flytekit.models.literals import Blob, BlobMetadata, Literal, Scalar
from flytekit.models.types import LiteralType

from causeway import images, mounting, validators

logger = logging.getLogger("causeway.types")

XGBOOST, DATASETS, H2O = "XGBoostModel", "HuggingFaceDatasetDict", "H2OModel"
KERAS, TENSORS = "TensorFlowModel", "TensorFlowDataset"  # of Keras flytekit's own name: who has no SDK reads it too
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
        files = ctx.file_access
        path = files.get_random_local_directory() if many else files.get_random_local_path() + self.suffix
        files.get_data(lv.scalar.blob.uri, path, is_multipart=many)
        return self.read_as(expected_python_type, Path(path))

    def read_as(self, kind: type[Any], path: Path) -> Any:
        """`kind`: what the task's input is annotated with."""
        return self.read(path)

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


def _take_keras(keras: Any) -> None:
    class Model(_Files):
        suffix = ".keras"

        def write(self, value: Any, path: Path) -> None:
            value.save(path)

        def read_as(self, kind: type[Any], path: Path) -> Any:
            """Keras finds a class by the name that it was registered by, or here by the annotation that names it."""
            asked = get_args(kind)[0] if get_origin(kind) is Annotated else kind
            with keras.saving.custom_object_scope({asked.__name__: asked}):
                return keras.saving.load_model(path)

    if type(TypeEngine._REGISTRY.get(keras.Model)).__module__.startswith("flytekit.extras."):
        del TypeEngine._REGISTRY[keras.Model]  # its own, which goes without a program's classes
    _register(Model(keras.Model, KERAS, _SINGLE))


def _before_tensorflow() -> Callable[[], None]:
    """flytekit's type of Keras models comes with TensorFlow, and fails where one is registered: ours goes aside until
    what is given back is called.
    """
    keras = sys.modules.get("keras")
    if "keras" in _TAKEN or "tensorflow" not in sys.modules or "flytekit.extras.tensorflow" in sys.modules:
        return lambda: None
    if getattr(TypeEngine._REGISTRY.get(keras.Model), "name", "") == KERAS:  # type: ignore[union-attr]
        del TypeEngine._REGISTRY[keras.Model]  # type: ignore[union-attr]
        return lambda: _take_keras(keras)
    return lambda: None


def _take_tensorflow(tf: Any) -> None:
    from flytekit.extras.tensorflow import record

    class Dataset(_Files):
        def write(self, value: Any, path: Path) -> None:
            if value.cardinality() == tf.data.INFINITE_CARDINALITY:
                raise TypeTransformerFailedError("a tf.data.Dataset without an end cannot be stored: give it take(n)")
            value.save(str(path))

        def read(self, path: Path) -> Any:
            return tf.data.Dataset.load(str(path))

    _register(Dataset(tf.data.Dataset, TENSORS, _MANY))
    _take_records(tf, record)


def _take_modin(_: Any) -> None:
    from causeway import modin_frames

    modin_frames.take(
        import_module("modin.pandas")
    )  # `modin.pandas` has no such name where flytekit's plug-in was first


def _take_records(tf: Any, record: Any) -> None:
    """As of arrays, its own words are of one class, and every other one is refused; parts come as the disk has them."""
    original = record.extract_metadata_and_uri

    def extract_metadata_and_uri(lv: Literal, t: Any) -> Any:
        if get_origin(t) is Annotated:
            kind, *said = get_args(t)
            known = [one for one in said if isinstance(one, record.TFRecordDatasetConfig)]
            t = Annotated[(kind, known[0])] if known else kind
        return original(lv, t)

    def to_python_value(self: Any, ctx: FlyteContext, lv: Literal, expected_python_type: type[Any]) -> Any:
        uri, said = extract_metadata_and_uri(lv, expected_python_type)
        folder = Path(ctx.file_access.get_random_local_directory())
        ctx.file_access.get_data(uri, str(folder), is_multipart=True)
        parts = sorted(map(str, folder.iterdir()), key=lambda name: (len(name), name))  # part_2 before part_10
        return tf.data.TFRecordDataset(parts, **vars(said))

    record.extract_metadata_and_uri = extract_metadata_and_uri
    record.TensorFlowRecordsDirTransformer.to_python_value = to_python_value


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
    "keras": _take_keras,
    "modin": _take_modin,
    "tensorflow": _take_tensorflow,
}


def _take(name: str, take: Callable[[Any], None]) -> None:
    """A framework of another release, which may have changed, fails no task that carries other values."""
    try:
        take(sys.modules[name])
    except Exception:
        logger.warning("values of %s may not be carried", name, exc_info=True)


def register() -> None:
    """Whenever flytekit looks whether a framework has come, so do we. Once; does nothing the next time."""
    original = TypeEngine.lazy_import_transformers
    if getattr(original, "causeway", False):
        return

    def lazy_import_transformers() -> None:
        take_again = _before_tensorflow()
        original()
        take_again()
        for name in [name for name in _TAKEN if hasattr(sys.modules.get(name), "__version__")]:
            _take(name, _TAKEN.pop(name))
        validators.take()

    lazy_import_transformers.causeway = True  # type: ignore[attr-defined]
    TypeEngine.lazy_import_transformers = staticmethod(lazy_import_transformers)


register()
images.register()
mounting.register()
validators.register()
