"""What `benchmarks.graph` asks of: pictures with captions, and spaces of them."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.gcompris import GAMES, read_drawings, read_photographs
from benchmarks.near_duplicates import without_near_duplicates
from benchmarks.open_clip_art import load_split
from tools.open_clip_art import LIBRARY
from unisem import Encoder, SemanticSpace, load_encoder
from unisem.encoders import Role
from unisem.encoders.base import Progress
from unisem.errors import ImageError
from unisem.images.reference import ImageSource
from unisem.records import EmbeddedRecord, Record, Vector


@dataclass(frozen=True, eq=False)
class Shown:
    """Pictures.

    Attributes:
        captions: Of each.
        vectors: ``(n, d)`` float32 unit vectors.
    """

    captions: list[str]
    vectors: Vector


class Remembering(Encoder):
    """`mini`, which keeps the vectors of texts in a file: names come in many queries."""

    def __init__(self, path: Path) -> None:
        self._encoder = load_encoder("mini")
        self._path = path
        self._known: dict[str, Vector] = {}
        if path.exists():
            with np.load(path) as kept:
                self._known = dict(zip(kept["names"].tolist(), kept["vectors"], strict=True))

    @property
    def name(self) -> str:
        """As of `mini`."""
        return self._encoder.name

    @property
    def fingerprint(self) -> str:
        """As of `mini`."""
        return self._encoder.fingerprint

    @property
    def dimension(self) -> int:
        """As of `mini`."""
        return self._encoder.dimension

    def encode_texts(
        self,
        texts: Sequence[str],
        role: Role = "document",
        *,
        batch_size: int = 32,
        progress: Progress | None = None,
    ) -> Vector:
        """As of `mini`, which embeds queries and documents alike; the role changes nothing."""
        del progress
        new = sorted({text for text in texts if text not in self._known})
        if new:
            made = self._encoder.encode_texts(new, role, batch_size=batch_size)
            self._known.update(zip(new, made, strict=True))
        return np.array([self._known[text] for text in texts], np.float32)

    def encode_images(
        self,
        images: Sequence[ImageSource],
        *,
        batch_size: int = 32,
        progress: Progress | None = None,
    ) -> Vector:
        """As of `mini`."""
        return self._encoder.encode_images(images, batch_size=batch_size, progress=progress)

    def keep(self) -> None:
        """Write the file."""
        names = list(self._known)
        np.savez(self._path, names=np.array(names), vectors=np.array(list(self._known.values())))


def pictures_of(packages: Path, work: Path) -> Shown:
    """The pictures of `benchmarks.graph_kinds`, encoded by `mini` once."""
    vectors, captions = work / "pictures.npz", work / "captions.json"
    if not vectors.exists():
        rows, said = _encoded(packages)
        np.savez(vectors, vectors=np.array(rows))
        captions.write_text(json.dumps(said), encoding="utf-8")
    with np.load(vectors) as kept:
        return Shown(json.loads(captions.read_text(encoding="utf-8")), kept["vectors"])


def space_of(shown: Shown, encoder: Encoder, *, captioned: bool) -> SemanticSpace:
    """A space in memory, with captions or without; its pictures are stand-ins."""
    space = SemanticSpace.open(None, encoder=encoder)
    told = encoder.encode_texts(shown.captions) if captioned else None
    space.add_embedded(
        EmbeddedRecord(
            Record(
                id=f"{place:04d}",
                text=caption if captioned else None,
                image=_stand_in(place),
            ),
            {"image": shown.vectors[place]} | ({} if told is None else {"text": told[place]}),
        )
        for place, caption in enumerate(shown.captions)
    )
    return space


def _encoded(packages: Path) -> tuple[list[Vector], list[str]]:
    encoder = load_encoder("mini")
    training, held_out = load_split(packages / LIBRARY)
    strict, _, _ = without_near_duplicates(held_out, training)
    rows: list[Vector] = []
    captions: list[str] = []
    for caption, places in zip(strict.captions, strict.relevant, strict=True):
        for place in places:
            try:
                rows.append(encoder.encode_images([strict.pictures[place]])[0])
            except ImageError:  # larger than the limit
                continue
            captions.append(caption)
    for read in (read_photographs, read_drawings):
        found = read(packages / GAMES)
        for caption, places in zip(found.captions, found.relevant, strict=True):
            rows.append(encoder.encode_images([found.pictures[places[0]]])[0])
            captions.append(caption)
    return rows, captions


def _stand_in(number: int) -> bytes:
    """What stands for a picture whose vector is known."""
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2), (number >> 8, number & 255, 0)).save(buffer, format="PNG")
    return buffer.getvalue()
