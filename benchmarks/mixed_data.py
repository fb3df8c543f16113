"""What `benchmarks.mixed` asks and ranks: vectors and features of captioned pictures, cached.

A title of Open Clip Art is a query, its keywords are a text, its picture a picture. The held-out
part is the strict set of `benchmarks.near_duplicates`, with the first picture of each caption. Of a
picture there is `mini`'s vector and what `mini`'s image network gives its head, from which other
heads are trained.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.natural_pictures import sets, unpacked
from benchmarks.near_duplicates import without_near_duplicates
from benchmarks.open_clip_art import Pairs, load_split
from unisem import load_encoder
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.errors import ImageError
from unisem.records import Vector

GALLERY = Path("examples/gallery")


@dataclass(frozen=True, slots=True, eq=False)
class Things:
    """Things, each with a question, a text and a picture.

    Attributes:
        questions: ``(n, d)`` texts embedded as queries.
        texts: ``(n, d)`` texts embedded as documents.
        images: ``(n, d)`` pictures.
        features: ``(n, f)`` what the image network gives its head.
    """

    questions: Vector
    texts: Vector
    images: Vector
    features: Vector

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: NDArray[Any] | slice) -> Self:
        return type(self)(
            self.questions[rows], self.texts[rows], self.images[rows], self.features[rows]
        )


@dataclass(frozen=True, slots=True, eq=False)
class MixedData:
    """All sets.

    Attributes:
        training: The training part of Open Clip Art.
        held_out: The strict set.
        gallery: `examples/gallery`: captions, and the pictures.
        alike: ``(n, n)``, which of the gallery's pictures share a title or a keyword.
        photographs: By name, captions and one photograph for each.
    """

    training: Things
    held_out: Things
    gallery: Things
    alike: NDArray[np.bool_]
    photographs: dict[str, Things]

    @classmethod
    def of(cls, library: Path, packages: Path | None, work: Path) -> Self:
        """Embed everything, or take it from ``work``."""
        rows = [json.loads(line) for line in (GALLERY / "metadata.jsonl").open(encoding="utf-8")]
        words = [{word.lower() for word in (row["title"], *row["keywords"])} for row in rows]
        alike = np.array([[bool(one & other) for other in words] for one in words])
        file = work / "mixed.npz"
        if not file.exists():
            work.mkdir(parents=True, exist_ok=True)
            np.savez(file, **_embedded(library, packages, rows))  # type: ignore[arg-type]
        with np.load(file) as held:
            made = {
                name: Things(*(held[f"{name}:{part}"] for part in Things.__slots__))
                for name in sorted({key.partition(":")[0] for key in held})
            }
        training, held_out, gallery = (made.pop(n) for n in ("training", "held out", "gallery"))
        return cls(training, held_out, gallery, alike, made)


def _embedded(
    library: Path, packages: Path | None, gallery: Sequence[dict[str, Any]]
) -> dict[str, Vector]:
    network = Network()
    training, held_out = load_split(library)
    strict, _, _ = without_near_duplicates(held_out, training)
    found: dict[str, Vector] = {}
    for name, pairs in (("training", training), ("held out", strict)):
        titles, keywords, paths = described(pairs)
        found |= network.things(name, titles, keywords, paths)
    captions = [row["text"] for row in gallery]
    paths = [GALLERY / row["file_name"] for row in gallery]
    found |= network.things("gallery", captions, captions, paths)
    with unpacked(packages) as folder:
        for name, shown in sets(folder):
            if name != "drawings":
                first = [shown.pictures[owned[0]] for owned in shown.relevant]
                found |= network.things(name, shown.captions, shown.captions, first)
    return found


def described(pairs: Pairs) -> tuple[list[str], list[str], list[Path]]:
    """Titles, keywords (the title where there are none) and first pictures."""
    parts = [caption.partition(". ") for caption in pairs.captions]
    first = [pairs.pictures[owned[0]] for owned in pairs.relevant]
    return [title for title, _, _ in parts], [keys or title for title, _, keys in parts], first


class Network:
    """`mini`, and what its image network gives its head on the way."""

    def __init__(self) -> None:
        encoder = load_encoder("mini", runtime="torch")
        assert isinstance(encoder, SentenceTransformerEncoder)
        self._encoder = encoder
        self._seen: list[Any] = []
        head = encoder.model[0].sub_modules["image"][1]
        head.register_forward_pre_hook(
            lambda _, given: self._seen.append(given[0]["sentence_embedding"].detach().clone())
        )

    def things(
        self, name: str, questions: list[str], texts: list[str], images: Sequence[Any]
    ) -> dict[str, Vector]:
        """The parts of `Things`, each under its name; pictures that are refused are left out."""
        vectors, features, kept = [], [], []
        for row, image in enumerate(images):
            try:
                vectors.append(self._image(image))
            except ImageError:
                continue
            features.append(self._seen[-1][0].float().numpy())
            kept.append(row)
        asked = self._encoder.encode_texts([questions[row] for row in kept], role="query")
        stored = self._encoder.encode_texts([texts[row] for row in kept], role="document")
        parts = (asked, stored, np.stack(vectors), np.stack(features))
        return {f"{name}:{part}": p for part, p in zip(Things.__slots__, parts, strict=True)}

    def _image(self, image: Path | Image.Image) -> Vector:
        vector: Vector = self._encoder.encode_images([image])[0]
        return vector
