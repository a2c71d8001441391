"""What flytekit does around a task, without what costs more than a small task itself; see docs/decisions/lean-tasks.md.

It copies the inputs to a folder of its own and reads the copy, and writes the outputs to another folder which it then
copies into place: through an event loop in a thread, and with folders that it makes for each task. Where the store is
on this disk, the process reads inputs where they are and writes outputs where they belong. What is not as it was in the
flytekit that this was written for stays as flytekit does it.
"""

from __future__ import annotations

import inspect
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from . import whole

WORKSPACE = "workspace"  # of a task: flytekit gives it a random name; with one of its own the folder can be used again


class Instead:
    """A module as another one sees it, some names of which mean something else there."""

    def __init__(self, module: Any, **names: Any) -> None:
        self.__dict__.update(names)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


class LateFolder:
    """A `tempfile.TemporaryDirectory` that is made when somebody asks for its name."""

    def __init__(self) -> None:
        self._made: Any = None

    @property
    def name(self) -> str:
        if self._made is None:
            self._made = tempfile.TemporaryDirectory()
        return str(self._made.name)

    def cleanup(self) -> None:
        if self._made is not None:
            self._made.cleanup()


def become_lean() -> None:
    """From now on, in this process and its forks."""
    from flytekit.bin import entrypoint
    from flytekit.core import checkpointer, context_manager, data_persistence, utils

    if getattr(checkpointer, "tempfile", None) is tempfile:
        checkpointer.tempfile = Instead(tempfile, TemporaryDirectory=LateFolder)
    _name_origins_quickly(context_manager)
    if not _as_it_was(entrypoint, data_persistence, utils):
        return
    if entrypoint.os is os:  # it compares the working directory with all of sys.path, which for many tasks is the same
        entrypoint.os = Instead(os, path=Instead(os.path, realpath=cache(os.path.realpath)))
    files = _Files(data_persistence.FileAccessProvider, utils)
    entrypoint.FileAccessProvider = files.provider()
    entrypoint.utils = Instead(utils, load_proto_from_file=files.load, write_proto_to_file=files.write)
    entrypoint.tempfile = Instead(tempfile, mkdtemp=_folder)


def _name_origins_quickly(context_manager: Any) -> None:
    """flytekit notes for each context where in its code it was made, with the text of that line."""
    manager = context_manager.FlyteContextManager
    original: Callable[[int], traceback.FrameSummary] = manager.get_origin_stackframe
    if list(inspect.signature(original).parameters) != ["limit"]:
        return

    def get_origin_stackframe(limit: int = 2) -> traceback.FrameSummary:
        try:
            frame = sys._getframe(limit)
        except ValueError:  # nothing called so deep
            return original(limit)
        code = frame.f_code
        return traceback.FrameSummary(code.co_filename, frame.f_lineno, code.co_name, lookup_line=False)

    manager.get_origin_stackframe = staticmethod(get_origin_stackframe)


def _as_it_was(entrypoint: Any, data_persistence: Any, utils: Any) -> bool:
    provider = data_persistence.FileAccessProvider
    signatures = {
        utils.load_proto_from_file: ["pb2_type", "path"],
        utils.write_proto_to_file: ["proto", "path"],
        inspect.unwrap(provider.get_data): ["self", "remote_path", "local_path", "is_multipart", "kwargs"],
        inspect.unwrap(provider.put_data): ["self", "local_path", "remote_path", "is_multipart", "kwargs"],
    }
    if any(list(inspect.signature(one).parameters) != names for one, names in signatures.items()):
        return False
    return entrypoint.utils is utils and entrypoint.tempfile is tempfile and entrypoint.FileAccessProvider is provider


def _folder(suffix: Any = None, prefix: Any = None, dir: Any = None) -> str:
    """flytekit's for a task: the task's own temporary folder is one already."""
    if prefix == "flyte" and suffix is None and dir is None:
        return tempfile.gettempdir()
    return str(tempfile.mkdtemp(suffix, prefix, dir))


def use_workspace() -> None:
    """The next folder that flytekit asks for, for the task to work in, has a name that is known."""
    from flytekit.core.data_persistence import default_local_file_access_provider as provider

    def once() -> str:
        provider.__dict__.pop("get_random_local_directory", None)
        folder = Path(provider.local_sandbox_dir, WORKSPACE)
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    provider.__dict__["get_random_local_directory"] = once


class _Files:
    """Inputs and outputs of the task that this process runs: read and written once, at their place."""

    def __init__(self, original: Any, utils: Any) -> None:
        self.original, self.utils = original, utils
        self.places: dict[str, str] = {}  # where flytekit thinks it has the inputs -> where they are
        self.written: dict[str, bytes] = {}  # what it thinks it has written

    def load(self, pb2_type: Any, path: Any) -> Any:
        return self.utils.load_proto_from_file(pb2_type, self.places.pop(str(path), path))

    def write(self, proto: Any, path: Any) -> None:
        self.written[str(path)] = proto.SerializeToString()

    def provider(self) -> type:
        files, original = self, self.original

        class FileAccessProvider(original):  # type: ignore[misc, valid-type]
            def get_data(self, remote_path: str, local_path: str, is_multipart: bool = False, **kwargs: Any) -> Any:
                source = _on_this_disk(remote_path)
                own = str(local_path) == os.path.join(str(self.local_sandbox_dir), "inputs.pb")  # not a file of a task
                if is_multipart or kwargs or not own or not os.path.isfile(source):
                    return original.get_data(self, remote_path, local_path, is_multipart, **kwargs)
                files.places[str(local_path)] = source
                return None

            def put_data(self, local_path: Any, remote_path: str, is_multipart: bool = False, **kwargs: Any) -> Any:
                told = files.take(str(local_path)) if is_multipart else {}
                if told and not kwargs and files.put(told, str(local_path), _on_this_disk(remote_path)):
                    return remote_path
                for path, content in told.items():
                    Path(path).parent.mkdir(parents=True, exist_ok=True)
                    Path(path).write_bytes(content)
                return original.put_data(self, local_path, remote_path, is_multipart, **kwargs)

        FileAccessProvider.__qualname__ = FileAccessProvider.__name__
        FileAccessProvider.__module__ = original.__module__
        return FileAccessProvider

    def take(self, folder: str) -> dict[str, bytes]:
        """What was written into that folder."""
        found = {path: content for path, content in self.written.items() if os.path.dirname(path) == folder}
        for path in found:
            del self.written[path]
        return found

    def put(self, told: dict[str, bytes], folder: str, place: str) -> bool:
        """Whether it could be done; each file is there as a whole or not at all."""
        try:
            if not place or os.listdir(folder):
                return False
            os.makedirs(place, exist_ok=True)
            for path, content in told.items():
                _put(os.path.join(place, os.path.basename(path)), content)
        except OSError:  # flytekit says what is wrong
            return False
        return True


def _put(target: str, content: bytes) -> None:
    with whole.replacing(target) as partial, open(partial, "wb") as file:
        file.write(content)


def _on_this_disk(uri: Any) -> str:
    """The path; empty: it is elsewhere."""
    path = str(uri).removeprefix("file://")
    return path if path.startswith("/") else ""
