"""`Pair`: a query and a document that belong together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from unisem.common.skipped import Skipped
from unisem.errors import TrainingError
from unisem.images.reference import ImageRef
from unisem.pairs.input import Input


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and a document that it should find, each a text, a picture, or both.

    The usual pair is a caption and its picture, `Pair.of`; only of such a pair there are `caption`,
    `image` and `image_id`.

    Attributes:
        query: What is asked.
        document: What is right for it.
        negatives: What is wrong for it, as somebody says. Training shows these as wrong ones.
    """

    query: Input
    document: Input
    negatives: tuple[Input, ...] = ()

    @classmethod
    def of(
        cls, image: ImageRef, caption: str, image_id: str, negatives: tuple[Input, ...] = ()
    ) -> Self:
        """A picture and one caption of it; pairs of one picture share its id."""
        return cls(Input(caption), Input(image=image, image_id=image_id), negatives)

    @property
    def kind(self) -> str:
        """The forms of its sides.

        >>> Pair(Input("a big cat"), Input("The tiger is the largest cat.")).kind
        'text to text'
        """
        return f"{self.query.form} to {self.document.form}"

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Query, document and negatives."""
        return self.query, self.document, *self.negatives

    @property
    def is_captioned(self) -> bool:
        """Whether it is a caption and a picture."""
        return self.kind == CAPTIONED

    @property
    def caption(self) -> str:
        """What is said of the picture."""
        self._require_captioned()
        return self.query.text or ""

    @property
    def image(self) -> ImageRef:
        """Where the picture's pixels are."""
        self._require_captioned()
        assert self.document.image is not None
        return self.document.image

    @property
    def image_id(self) -> str:
        """The picture's id."""
        self._require_captioned()
        return self.document.image_id or ""

    def _require_captioned(self) -> None:
        if not self.is_captioned:
            raise TrainingError(
                f"{self.query.name} and {self.document.name} are {self.kind}, where a caption and "
                "its picture are needed"
            )


CAPTIONED = "text to image"
"""The kind of a caption and its picture."""

ReadPairs = tuple[tuple[Pair, ...], tuple[Skipped, ...]]
"""What a source gives: its pairs, and what could not be used."""
