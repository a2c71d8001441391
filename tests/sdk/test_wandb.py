"""How the records of Weights & Biases lie in a file: LevelDB's log, against a writer of it that is a few lines."""

from __future__ import annotations

import struct

import pytest
from causeway.wandb import BLOCK, HEADER, MAGIC, records
from hypothesis import given
from hypothesis import strategies as st

FIRST, MIDDLE, LAST, WHOLE = 2, 3, 4, 1
SIZES = st.one_of(st.integers(0, 40), st.integers(BLOCK - 20, BLOCK + 20), st.integers(2 * BLOCK, 3 * BLOCK))


def written(every: list[bytes]) -> bytes:
    data = bytearray(MAGIC + b"\xe1\xbe\x00")
    for record in every:
        begun, rest = False, record
        while True:
            left = BLOCK - len(data) % BLOCK
            if left < HEADER:
                data += bytes(left)
                continue
            piece, rest = rest[: left - HEADER], rest[left - HEADER :]
            kind = (MIDDLE if rest else LAST) if begun else (FIRST if rest else WHOLE)
            data += struct.pack("<IHB", 0, len(piece), kind) + piece
            begun = True
            if not rest:
                break
    return bytes(data)


@given(st.lists(SIZES, max_size=6))
def test_what_was_written_is_read(sizes: list[int]) -> None:
    every = [bytes([65 + number]) * size for number, size in enumerate(sizes)]
    assert list(records(written(every))) == every


@given(st.lists(SIZES, min_size=1, max_size=4), st.data())
def test_of_a_file_that_is_still_written_whole_records_are_read(sizes: list[int], data: st.DataObject) -> None:
    every = [bytes([65 + number]) * size for number, size in enumerate(sizes)]
    whole = written(every)
    cut = whole[: data.draw(st.integers(HEADER, len(whole)))]
    found = list(records(cut))
    assert found == every[: len(found)]


def test_another_file_is_refused() -> None:
    with pytest.raises(ValueError, match="no file of Weights & Biases"):
        list(records(b"PK\x03\x04"))
