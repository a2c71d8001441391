"""Tracebacks as users want them: their own frames, with paths as in their project."""

from __future__ import annotations

import re

FRAME = re.compile(r'^(?P<indent>\s*)File "(?P<path>[^"]+)", line \d+')
OURS = ("/flytekit/", "/flytekitplugins/", "/executors/local/zygote/", "/click/", "<frozen importlib", "<frozen runpy")
IMPORTLIB = re.compile(r"/lib/python3\.\d+/importlib/")


def trim(text: str, *code_folders: str) -> str:
    """Drop flytekit's and our frames, and the folders the code lay in. A trace of such frames alone stays as it is."""
    kept: list[str] = []
    users_frames = dropped = 0
    dropping_deeper_than: int | None = None
    for line in text.split("\n"):
        frame = FRAME.match(line)
        if frame:
            ours = any(part in frame["path"] for part in OURS) or bool(IMPORTLIB.search(frame["path"]))
            dropping_deeper_than = len(frame["indent"]) if ours else None
            dropped += ours
            users_frames += not ours
            if ours:
                continue
        elif dropping_deeper_than is not None and (not line.strip() or _indent(line) > dropping_deeper_than):
            if line.strip():
                continue
        else:
            dropping_deeper_than = None
        kept.append(line)
    result = "\n".join(kept) if users_frames and dropped else text
    for folder in filter(None, code_folders):
        result = result.replace(f"{folder.rstrip('/')}/", "")
    return result


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
