"""`Suggester`: what might be said of a picture, for a person to accept or to correct."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from unisem.captioners import Captioner
from unisem.captioners.tags import VOCABULARY, read_vocabulary
from unisem.captions import is_generated
from unisem.encoders.base import Encoder, rows_of
from unisem.records import Record, Vector, VectorKind
from unisem.space import SemanticSpace

_MOST = 5
_TAGS = 3
_NEAR = 40  # neighbours among which captions of people are looked for


class Suggester:
    """Suggests a captioner's caption, captions of like pictures, and the likeliest tags.

    Args:
        space: The pictures' space.
        captioner: Writes a caption for each picture, if there is one.
    """

    def __init__(self, space: SemanticSpace, captioner: Captioner | None) -> None:
        self._space = space
        self._captioner = captioner
        self._tags = read_vocabulary(VOCABULARY)
        self._tag_rows: dict[str, Vector] = {}

    def suggestions(self, record: Record) -> tuple[str, ...]:
        """Captions of a picture, the likeliest first; five at most, none twice."""
        found: list[str] = []
        if is_generated(record) and record.text:
            found.append(record.text)
        if self._captioner is not None and record.image is not None:
            (said,) = self._captioner.caption([record.image])
            if isinstance(said, str):
                found.append(said)
        row = image_row(self._space.store.vectors([record.id])[0])
        if row is not None:
            found += self._captions_near(record, row)
            cosines = self.tag_rows(self._space.encoder) @ row
            best = np.argsort(-cosines, kind="stable")[:_TAGS]
            found += [self._tags[tag] for tag in best]
        return tuple(dict.fromkeys(found))[:_MOST]

    def tag_rows(self, encoder: Encoder) -> Vector:
        """``(t, d)`` unit vectors of the tags, by one encoder."""
        known = self._tag_rows.get(encoder.fingerprint)
        if known is None:
            names = [f"a picture of a {tag}" for tag in self._tags]
            known = rows_of(encoder, encoder.encode_texts(names, role="query"))
            self._tag_rows[encoder.fingerprint] = known
        return known

    def _captions_near(self, record: Record, row: Vector) -> list[str]:
        """Up to two captions that people wrote of the pictures that are most like this one."""
        hits = self._space.store.search(row[None], _NEAR, match="image", asked="image")[0]
        return [
            hit.record.text
            for hit in hits
            if hit.record.id != record.id and hit.record.text and not is_generated(hit.record)
        ][:2]


def image_row(vectors: Mapping[VectorKind, Vector] | None) -> Vector | None:
    """``(d,)``: a picture's vector, the first where it has several; ``None`` if it has none."""
    if vectors is None or "image" not in vectors:
        return None
    row: Vector = np.atleast_2d(vectors["image"])[0]
    return row
