"""`ImageSpec.is_container()` where an image is a name only: true of the spec that the task's image was made of.

In Flyte the builder writes the spec's id into the image, as the variable _F_IMG_ID, which is_container() compares.
Here no image is opened; but the name of a task's image carries a hash of its spec (flytekit.image_spec, ImageSpec.tag),
and the program that runs has the specs at hand. So the variable is set to the id of the spec whose name it is.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any

IMAGE = "FLYTE_INTERNAL_IMAGE"
ID = "_F_IMG_ID"
_HASH = re.compile(r"[A-Za-z0-9_]{22}")
_PLATFORMS = ("linux/amd64", "linux/arm64")  # the client's decides where the spec does not say

_sure = False  # whether a spec's name was found to be the image's to the letter


def know_images() -> None:
    """From now on, in this process and its forks."""
    from flytekit import ImageSpec

    made, asked = ImageSpec.__post_init__, ImageSpec.is_container

    def __post_init__(self: Any) -> None:
        made(self)
        _tell(self)

    def is_container(self: Any) -> bool:
        _tell(self)  # also one that was made as a copy of another
        return bool(asked(self))

    ImageSpec.__post_init__ = __post_init__
    ImageSpec.is_container = is_container


def _tell(spec: Any) -> None:
    global _sure
    with contextlib.suppress(Exception):  # a flytekit that works differently inside, a spec that cannot be hashed here
        image = os.environ.get(IMAGE, "")
        told = _sure and ID in os.environ
        if not image or told or not _same_repository(spec, image):
            return
        exact = _tag(image) in set(_tags(spec))
        if exact or _unknowable(spec, _tag(image)):
            os.environ[ID] = type(spec).id.func(spec)  # the property keeps its value; this spec may still change
            _sure = exact


def _same_repository(spec: Any, image: str) -> bool:
    repository = image.removesuffix(f":{_tag(image)}")
    return repository == (f"{spec.registry}/{spec.name}" if spec.registry else spec.name)


def _tag(image: str) -> str:
    return image.rpartition("/")[2].partition(":")[2]


def _tags(spec: Any) -> Iterator[str]:
    """The tags that the image may have, made by other machines of the same program."""
    for platform in dict.fromkeys((spec.platform, *_PLATFORMS)):
        variant = copy.copy(spec)
        variant.__dict__.pop("id", None)
        variant.platform, variant.registry_config = platform, None
        if isinstance(spec.base_image, type(spec)):
            variant.base_image = spec.base_image.image_name()
        if spec.requirements:
            variant.requirements = hashlib.sha1(pathlib.Path(spec.requirements).read_bytes().strip()).hexdigest()  # noqa: S324 - flytekit's
        tag = type(spec).id.func(variant).replace("-", "_")
        yield spec.tag_format.format(spec_hash=tag) if spec.tag_format else tag


def _unknowable(spec: Any, tag: str) -> bool:
    """Whether files of the client's machine are in the hash, which are not here: then the repository has to do.

    So it is of images that hold the program (`pyflyte register --copy none`, `pyflyte package`).
    """
    from flytekit.constants import CopyFileDetection

    copies = spec.source_copy_mode not in (None, CopyFileDetection.NO_COPY)
    absent = bool(spec.requirements) and not os.path.exists(spec.requirements)
    in_image = not _from_archive and spec.source_copy_mode is None
    return (copies or bool(spec.copy) or absent or in_image) and bool(spec.tag_format or _HASH.fullmatch(tag))


_from_archive = False


def program_is_from_archive(known: bool) -> None:
    """Fast registration: the program was fetched, and is in no image."""
    global _from_archive
    _from_archive = known
