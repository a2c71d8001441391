"""Frames of Modin as datasets (`StructuredDataset`), which other libraries read: Parquet, in as many files as parts.

flytekit's own plug-in for Modin makes a Schema of a frame, and an empty frame of what another library wrote. Where a
program imports that plug-in, it keeps the type.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from flytekit.core.context_manager import FlyteContext
from flytekit.core.type_engine import TypeEngine
from flytekit.models import literals
from flytekit.models.literals import StructuredDatasetMetadata
from flytekit.models.types import StructuredDatasetType
from flytekit.types.structured.structured_dataset import (
    PARQUET,
    StructuredDataset,
    StructuredDatasetDecoder,
    StructuredDatasetEncoder,
    StructuredDatasetTransformerEngine,
)

logger = logging.getLogger("causeway.types")


def take(pandas: Any) -> None:
    """`pandas`: the module `modin.pandas`."""
    frame: type[Any] = pandas.DataFrame

    class ToParquet(StructuredDatasetEncoder):  # type: ignore[misc]
        def encode(
            self,
            ctx: FlyteContext,
            structured_dataset: StructuredDataset,
            structured_dataset_type: StructuredDatasetType,
        ) -> literals.StructuredDataset:
            """Engines of several processes make a folder of the path, with a file of each part; others make a file."""
            path = Path(ctx.file_access.get_random_local_directory()) / "00000"
            structured_dataset.dataframe.to_parquet(path)
            files, many = ctx.file_access, path.is_dir()
            if structured_dataset.uri:
                uri = files.put_data(str(path), structured_dataset.uri, is_multipart=many)
            else:
                uri = files.put_raw_data(str(path), is_multipart=many)
            return literals.StructuredDataset(uri=uri, metadata=StructuredDatasetMetadata(structured_dataset_type))

    class FromParquet(StructuredDatasetDecoder):  # type: ignore[misc]
        def decode(
            self,
            ctx: FlyteContext,
            flyte_value: literals.StructuredDataset,
            current_task_metadata: StructuredDatasetMetadata,
        ) -> Any:
            files, uri = ctx.file_access, flyte_value.uri
            many = files.get_filesystem_for_path(uri).isdir(uri)
            path = files.get_random_local_directory() if many else files.get_random_local_path()
            files.get_data(uri, path, is_multipart=many)
            wanted = current_task_metadata.structured_dataset_type
            columns = [one.name for one in wanted.columns] if wanted is not None else []
            return pandas.read_parquet(path, columns=columns or None)

    if frame in TypeEngine._REGISTRY:
        logger.info("%s stays with the plugin that registered it", frame)
        return
    StructuredDatasetTransformerEngine.register(ToParquet(frame, None, PARQUET))
    StructuredDatasetTransformerEngine.register(FromParquet(frame, None, PARQUET))
