"""The package's file is read as its reader in C says."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from unisem.encoders.multilingual.weights import unpack
from unisem.errors import EncoderError

PIECES = {"<s>": 0.0, "<pad>": 0.0, "</s>": 0.0, "<unk>": 0.0, "▁犬": -1.5, "cat": -2.0}


def blocks(weights: np.ndarray) -> bytes:
    """Rows of whole numbers from -8 to 7 as blocks of scale 0.5, one nibble after the other."""
    written = b""
    for block in weights.reshape(-1, 32):
        written += np.float16(0.5).tobytes()
        for low, high in zip(block[:16], block[16:], strict=True):
            written += bytes([int(low + 8) | int(high + 8) << 4])
    return written


def file_of(tensors: dict[str, np.ndarray], width: int = 64) -> bytes:
    """A whole file; what is float32 stays so, whole numbers become blocks."""
    letters = [piece.encode() for piece in PIECES]
    starts = np.cumsum([0, *map(len, letters)]).astype("<u4")
    head = struct.pack("<4sI7ifi", b"E5S1", 1, width, 1, 2, 4 * width, 6, 8, 2, 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, sum(map(len, letters)))
    head += starts.tobytes() + np.array(list(PIECES.values()), "<f4").tobytes() + b"".join(letters)
    head += struct.pack("<iI", 1, 9) + struct.pack("<IBI", 65, 1, 97)
    entries = struct.pack("<i", len(tensors))
    data, size = b"", sum(2 + len(name) + 21 for name in tensors)
    for name, values in tensors.items():
        kind = int(values.dtype != np.float32)
        content = blocks(values) if kind else values.tobytes()
        place = len(head) + 4 + size + len(data)
        entries += struct.pack("<H", len(name)) + name.encode()
        entries += struct.pack("<BIQQ", kind, values.size, place, len(content))
        data += content
    return head + entries + data


@pytest.fixture
def tensors() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "emb.word": random.integers(-8, 8, (6, 64)),
        "emb.pos": random.random((8, 64), np.float32),
        "l0.q.w": random.integers(-8, 8, (64, 64)),
        "l0.fo.w": random.integers(-8, 8, (64, 256)),
        "l0.q.b": random.random(64, np.float32),
    }


def test_numbers_come_out_as_they_went_in(tensors: dict[str, np.ndarray]) -> None:
    unpacked = unpack(memoryview(file_of(tensors)))
    assert dict(unpacked.pieces) == PIECES
    got = unpacked.tensors
    np.testing.assert_array_equal(got["l0.q.w"], tensors["l0.q.w"].T * 0.5)
    np.testing.assert_array_equal(got["l0.fo.w"], tensors["l0.fo.w"].T * 0.5)
    np.testing.assert_array_equal(got["emb.pos"], tensors["emb.pos"])
    np.testing.assert_array_equal(got["l0.q.b"], tensors["l0.q.b"])
    halves, scales = got["word.halves"].astype(int), got["word.scales"]
    assert (halves.shape, scales.shape, scales.dtype) == ((6, 2, 16), (6, 2, 1), np.float16)
    words = np.concatenate([halves % 16, halves // 16], axis=-1) - 8
    np.testing.assert_array_equal(words.reshape(6, 64), tensors["emb.word"])


def test_a_damaged_file_is_an_error(tensors: dict[str, np.ndarray]) -> None:
    whole = file_of(tensors)
    for length in (0, 3, 40, 60, 100, 150, len(whole) // 2, len(whole) - 1):
        with pytest.raises(EncoderError, match="damaged"):
            unpack(memoryview(whole[:length]))
    for wrong in (b"E5S2" + whole[4:], whole[:4] + b"\x07" + whole[5:]):
        with pytest.raises(EncoderError, match="they begin with"):
            unpack(memoryview(wrong))
