"""Specs of attempts in some hundred bytes each: ten thousands of them wait for a quota, or run for hours.

A spec as objects takes 8 kB, and the items of a map differ in a few words. So each is kept as its JSON, compressed
against that of another attempt of its node.
"""

from __future__ import annotations

import json
import threading
import zlib
from collections import OrderedDict
from dataclasses import dataclass

from scheduler.attempts import wire
from scheduler.attempts.spec import AttemptSpec, Identity

WINDOW, EFFORT = 14, 5  # of zlib: its defaults take a quarter of a megabyte, and four times as long
MODELS = 256  # nodes whose model is remembered; what was packed keeps its own


@dataclass(frozen=True, slots=True)
class Packed:
    model: bytes  # shared
    body: bytes

    def spec(self) -> AttemptSpec:
        unpack = zlib.decompressobj(WINDOW, zdict=self.model)
        # The name and the rest are for specs without a version, which none of these is.
        return wire.from_json(json.loads(unpack.decompress(self.body) + unpack.flush()), name="")


class Packer:
    """Any number of threads may use it."""

    def __init__(self) -> None:
        self._models: OrderedDict[tuple[tuple[str, str], str, str], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def pack(self, spec: AttemptSpec) -> Packed:
        body = json.dumps(wire.to_json(spec), separators=(",", ":")).encode()
        model = self._model(spec.identity, body)
        packing = zlib.compressobj(wbits=WINDOW, memLevel=EFFORT, zdict=model)
        return Packed(model, packing.compress(body) + packing.flush())

    def _model(self, identity: Identity, body: bytes) -> bytes:
        key = identity.place, identity.execution, identity.node
        with self._lock:
            model = self._models.setdefault(key, body)
            self._models.move_to_end(key)
            if len(self._models) > MODELS:
                self._models.popitem(last=False)
        return model
