"""`TagCaptioner`: zero-shot tags by the encoder, the floor that needs no further model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unisem.captioners.batch import BatchCaptioner
from unisem.common.lazy_property import lazy_property
from unisem.encoders.base import Encoder, rows_of
from unisem.records import Vector, check_unicode

VOCABULARY = Path(__file__).with_name("tags.txt")
"""The shipped vocabulary: a few hundred things, one a line."""
_LEAST = 8  # tags below which a mean and a deviation say nothing
_LARGEST = 1 << 20  # bytes of a vocabulary's file


class TagCaptioner(BatchCaptioner):
    """Names what a picture shows by the tags whose words lie nearest to it.

    Of each picture its cosines to all tags are brought to mean 0 and deviation 1, as cosines of
    a text and a picture mean little by themselves. The tags above the threshold are the caption,
    the best first: ``"cat, sofa"``. Where none is above it there is nothing to say.

    Zero-shot classification with a prompt is that of CLIP, https://arxiv.org/abs/2103.00020,
    section 3.1.4. How the threshold was chosen is in ``docs/guides/captions.md``.

    Args:
        encoder: Embeds tags and pictures.
        vocabulary: The tags; the shipped ones if ``None``.
        template: What a tag is put into, at ``{}``.
        most: Tags of a picture at most.
        threshold: Deviations above a picture's mean that a tag must have.

    Attributes:
        tags: The tags, each once.

    Raises:
        ValueError: Fewer than 8 different tags, or an argument that is out of range.
    """

    batch_size = 32

    def __init__(
        self,
        encoder: Encoder,
        vocabulary: Sequence[str] | None = None,
        *,
        template: str = "a picture of a {}",
        most: int = 5,
        threshold: float = 3.5,
    ) -> None:
        if isinstance(vocabulary, str):
            raise TypeError("pass a list of tags, for example read_vocabulary(path)")
        tags = read_vocabulary(VOCABULARY) if vocabulary is None else vocabulary
        self.tags = list(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
        if len(self.tags) < _LEAST:
            raise ValueError(f"a vocabulary needs {_LEAST} different tags, not {len(self.tags)}")
        if "{}" not in template:
            raise ValueError(f"template must have {{}} where the tag goes, not {template!r}")
        if most < 1:
            raise ValueError(f"most must be at least 1, not {most!r}")
        if not np.isfinite(threshold):
            raise ValueError(f"threshold must be a number, not {threshold!r}")
        for tag in self.tags:
            check_unicode(tag, "a tag")
        self._encoder = encoder
        self._template = template
        self._most = most
        self._threshold = threshold

    @property
    def name(self) -> str:
        return "tags"

    @lazy_property
    def fingerprint(self) -> str:
        parts = (self._encoder.fingerprint, self._template, self._most, self._threshold)
        return hashlib.sha256(repr((parts, self.tags)).encode()).hexdigest()

    def load(self) -> None:
        _ = self._rows

    def write(self, pictures: Sequence[Image.Image]) -> list[str]:
        scores = self.scores(pictures)
        found = []
        for row in scores:
            best = np.argsort(-row, kind="stable")[: self._most]
            found.append(", ".join(self.tags[tag] for tag in best if row[tag] >= self._threshold))
        return found

    def scores(self, pictures: Sequence[Image.Image]) -> NDArray[np.float64]:
        """How far each tag is above the others, for each picture.

        Args:
            pictures: Upright RGB.

        Returns:
            ``(n, tags)`` float64, deviations from the picture's mean.

        Raises:
            EncoderError: The encoder embeds no pictures, or no texts.
        """
        prepared = [self._encoder.prepare_image(picture) for picture in pictures]
        images = rows_of(self._encoder, self._encoder.encode_prepared(prepared))
        cosines = images.astype(np.float64) @ self._rows.T
        centred = cosines - cosines.mean(axis=1, keepdims=True)
        deviation = centred.std(axis=1, keepdims=True)
        scores: NDArray[np.float64] = np.zeros_like(centred)
        np.divide(centred, deviation, out=scores, where=deviation > 0)
        return scores

    @lazy_property
    def _rows(self) -> Vector:
        texts = [self._template.replace("{}", tag) for tag in self.tags]
        return rows_of(self._encoder, self._encoder.encode_texts(texts, role="query"))


def read_vocabulary(path: Path) -> list[str]:
    """Tags of a UTF-8 text file, one a line; what begins with ``#`` is a remark.

    Raises:
        ValueError: Too large, or not UTF-8; names the file.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ValueError(f"{path} is larger than the limit of {_LARGEST:,} bytes")
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 ({error.reason})") from None
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
