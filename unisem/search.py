"""What is asked of a space and what comes back: `Query`, `Selection` and `Hit`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unisem.filters import Filter
from unisem.images import ImageRef, ImageSource
from unisem.records import Modality, Record, check_unicode

Vector = NDArray[np.float32]
Match = Literal["any", "text", "image"]
"""Which of a record's vectors are compared with the query: its text's, its picture's, or both."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records; every part that is not ``None`` must hold.

    Attributes:
        ids: One of these ids. An empty tuple selects nothing.
        source_ids: Cut from one of these sources. An empty tuple selects nothing.
        filter: Its metadata matches.
        modality: ``"text"`` (no picture) or ``"image"`` (a picture, with or without caption).
    """

    ids: tuple[str, ...] | None = None
    source_ids: tuple[str, ...] | None = None
    filter: Filter | None = None
    modality: Modality | None = None

    def __post_init__(self) -> None:
        for name in ("ids", "source_ids"):
            value = getattr(self, name)
            if isinstance(value, str):
                raise TypeError(f"{name} must be a sequence of strings, not one string")
            if value is not None:
                object.__setattr__(self, name, tuple(value))
        if self.filter is not None and not isinstance(self.filter, Filter):
            raise TypeError(
                f"filter must be a unisem.filters.Filter, not {type(self.filter).__name__}; "
                'for example Field("year") >= 2020'
            )
        if self.modality not in (None, "text", "image"):
            raise ValueError(f'modality must be "text", "image" or None, not {self.modality!r}')

    @property
    def is_everything(self) -> bool:
        """Whether no part restricts."""
        return self == EVERYTHING


EVERYTHING = Selection()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Query:
    """What to look for: a text, a picture, both (a composed query), or a ready vector.

    Attributes:
        text: Text as written; it is never taken for a path or a URL.
        image: A path, bytes, a Pillow picture or an `ImageRef`.
        vector: A ``(d,)`` vector in the space's own coordinates, instead of text and image.
        text_weight: Share of the text in a composed query, from 0 to 1.
        k: How many records at most.
        selection: Which records may be found.
        match: Which of a record's vectors are compared.
    """

    text: str | None = None
    image: ImageSource | None = None
    vector: Any = None
    text_weight: float = 0.5
    k: int = 5
    selection: Selection = EVERYTHING
    match: Match = "any"

    def __post_init__(self) -> None:
        has_words = self.text is not None or self.image is not None
        if has_words == (self.vector is not None):
            raise ValueError("a query needs text, image, or both; or a vector alone")
        if self.text is not None and not isinstance(self.text, str):
            raise TypeError(f"text must be a string, not {type(self.text).__name__}")
        if self.text is not None:
            check_unicode(self.text, "the query's text")
        if self.image is not None:
            object.__setattr__(self, "image", ImageRef.of(self.image))
        if not isinstance(self.k, int) or isinstance(self.k, bool) or self.k < 0:
            raise ValueError(f"k must be a whole number of at least 0, not {self.k!r}")
        if not 0 <= self.text_weight <= 1:
            raise ValueError(f"text_weight must be between 0 and 1, not {self.text_weight!r}")
        if self.match not in ("any", "text", "image"):
            raise ValueError(f'match must be "any", "text" or "image", not {self.match!r}')


@dataclass(frozen=True, slots=True)
class Hit:
    """One record found.

    Attributes:
        record: The record.
        score: Cosine similarity, higher is better; the best over the record's vectors.
        matched: Which vector reached that score.
    """

    record: Record
    score: float
    matched: Modality


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedRecord:
    """A record with its vectors, ready to be stored.

    Attributes:
        record: The record; its picture, if any, has been inspected (digest and type are known).
        vectors: ``(d,)`` float32 unit vectors by the modality they were made from.
    """

    record: Record
    vectors: dict[Modality, Vector] = field(repr=False)
