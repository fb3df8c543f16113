"""`Sample`: the vectors that a calibration is fitted to, and which of them belong together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unisem.calibration.few_words import FewWords
from unisem.errors import CalibrationError
from unisem.records import Modality, Vector

Numbers = NDArray[np.int64]
FEWEST = 32
"""Texts, and pictures, below which nothing is fitted."""
_UNIT = 1e-2  # how far from 1 a vector's length may be


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A space's own vectors, or those of other data of an encoder.

    Texts and pictures that belong together have the same number: a picture and its caption. No
    labels are needed; where nothing belongs together, what is chosen by held-out data stays at its
    default.

    Attributes:
        texts: ``(n, d)`` float32, texts embedded as documents.
        asked: ``(n, d)`` float32, a query for each of those texts.
        images: ``(m, d)`` float32, pictures.
        text_groups: ``(n,)`` what each text is about.
        image_groups: ``(m,)`` what each picture shows.
        same_words: Whether ``asked`` are the same texts as ``texts``, embedded as queries; a text
            is then no right answer to itself.
        few_words: Queries of a few words of some of the texts, which tell how probable an answer is
            among texts where nothing else does.
        fused: ``(p, d)`` float32, texts and pictures together, where the encoder makes such.
    """

    texts: Vector
    asked: Vector
    images: Vector
    text_groups: Numbers
    image_groups: Numbers
    same_words: bool = True
    few_words: FewWords | None = None
    fused: Vector | None = None

    def check(self) -> None:
        """Refuse what nothing can be fitted to.

        Raises:
            CalibrationError: Too few, misshapen, not finite, not of unit length.
        """
        for name, rows in (("texts", self.texts), ("pictures", self.images)):
            if rows.ndim != 2 or len(rows) < FEWEST:
                raise CalibrationError(
                    f"a calibration needs vectors of {FEWEST} texts and of {FEWEST} pictures at "
                    f"least; there are {len(rows)} of {name}"
                )
        if self.asked.shape != self.texts.shape or self.images.shape[1] != self.texts.shape[1]:
            raise CalibrationError(
                f"texts {self.texts.shape}, queries {self.asked.shape} and pictures "
                f"{self.images.shape} must be of one dimension, and a query for each text"
            )
        if len(self.text_groups) != len(self.texts) or len(self.image_groups) != len(self.images):
            raise CalibrationError("each text and each picture needs the number of its group")
        found = [
            ("a text's vector", self.texts),
            ("a query's vector", self.asked),
            ("a picture's vector", self.images),
        ]
        if (few := self.few_words) is not None:
            owners = few.owners
            if (
                few.asked.shape != (len(few), self.texts.shape[1])
                or not ((owners >= 0) & (owners < len(self.texts))).all()
            ):
                raise CalibrationError(
                    f"queries of few words {few.asked.shape} must be of the texts' dimension, and "
                    f"each of one of {len(self.texts)} texts"
                )
            found.append(("the vector of a query of few words", few.asked))
        if (fused := self.fused) is not None:
            if fused.ndim != 2 or fused.shape[1] != self.texts.shape[1]:
                raise CalibrationError(
                    f"fused vectors {fused.shape} must be of the texts' dimension"
                )
            found.append(("a fused vector", fused))
        for name, rows in found:
            lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
            if not (np.abs(lengths - 1) <= _UNIT).all():  # nothing is near a NaN
                worst = int(np.argmax(np.nan_to_num(np.abs(lengths - 1), nan=np.inf)))
                raise CalibrationError(
                    f"{name}, number {worst}, is not finite or not of length 1 "
                    f"({lengths[worst]:.3g}); embed it anew"
                )

    def documents(self, kind: Modality) -> Vector:
        """Vectors of one kind."""
        return self.texts if kind == "text" else self.images

    def groups(self, kind: Modality) -> Numbers:
        """What they are of."""
        return self.text_groups if kind == "text" else self.image_groups

    def queries(self, kind: Modality) -> Vector:
        """What can be asked: a query for each text, or the pictures."""
        return self.asked if kind == "text" else self.images

    def halves(self, rng: np.random.Generator, most: int) -> tuple[Sample, Sample]:
        """Two halves that have no group in common, each with half of the pictures' groups.

        Fused vectors are left out: a caption is no question to the vector that it is in.

        Args:
            rng: Divides.
            most: The most groups of each half with a picture, and as many without.
        """
        shown = np.unique(self.image_groups)
        said = np.setdiff1d(self.text_groups, shown)
        parts = [np.array_split(rng.permutation(groups), 2) for groups in (shown, said)]
        one, other = (
            self._of(np.concatenate([part[half][:most] for part in parts])) for half in (0, 1)
        )
        return one, other

    def _of(self, groups: Numbers) -> Sample:
        texts, images = np.isin(self.text_groups, groups), np.isin(self.image_groups, groups)
        return Sample(
            self.texts[texts],
            self.asked[texts],
            self.images[images],
            self.text_groups[texts],
            self.image_groups[images],
            self.same_words,
            None if self.few_words is None else self.few_words.of(texts),
        )
