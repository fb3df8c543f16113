"""`Result`: one thing found, as an agent's model reads it and as its state keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from langchain_core.documents import Document

from langchain_unisem.metadata import DETAILS_KEY, IMAGE_KEY, own_metadata, way_of
from unisem.captions import GENERATED_BY, generated_by
from unisem.presentation.contents import Item, image_found
from unisem.records import Record


@dataclass(frozen=True, slots=True)
class Result:
    """One thing found.

    Attributes:
        id: The record's id.
        score: What the search gave it; higher is better.
        caption: Its text, or its picture's caption; ``""`` if there is none.
        metadata: What the tool shows of the record's own metadata.
        image: Type, digest and size of its picture; ``None`` for a text.
        generated_by: The captioner that wrote its caption; ``None`` if a person did.
    """

    id: str
    score: float
    caption: str
    metadata: Mapping[str, Any]
    image: Mapping[str, Any] | None
    generated_by: str | None = None

    @classmethod
    def of(cls, document: Document, fields: Iterable[str]) -> Self:
        """Read a document as `UniSemRetriever` makes it.

        Args:
            document: The document.
            fields: Metadata that the model is shown, where the record has them; never the place
                of its picture.
        """
        details = document.metadata[DETAILS_KEY]
        image = None
        if details["modality"] == "image":
            image = {name: details[name] for name in ("mime_type", "sha256", "width", "height")}
        own = own_metadata(document.metadata)
        return cls(
            id=str(document.id),
            score=details["score"],
            caption=document.page_content,
            metadata={name: own[name] for name in fields if name in own and name != IMAGE_KEY}
            | way_of(document.metadata),
            image=image,
            generated_by=generated_by(document.page_content, own),
        )

    @property
    def worded(self) -> Item:
        """The result for a model that is told how large its picture is, and not shown it."""
        size = None if self.image is None else (self.image["width"], self.image["height"])
        return Item(
            text=self.caption,
            id=self.id,
            metadata=self.metadata,
            generated=self.generated_by is not None,
            size=size,
        )

    def pictured(self, record: Record | None) -> Item:
        """The result with its picture.

        Args:
            record: What has its id now.
        """
        found = None if self.image is None else image_found(record, self.image["sha256"])
        return replace(
            self.worded,
            image=None if isinstance(found, str) else found,
            omitted=found if isinstance(found, str) else None,
        )

    def as_json(self) -> dict[str, Any]:
        """The result as plain JSON: no pixels, no paths."""
        return {
            "id": self.id,
            "score": self.score,
            "caption": self.caption,
            "modality": "text" if self.image is None else "image",
            "metadata": dict(self.metadata),
            "image": None if self.image is None else dict(self.image),
            **({} if self.generated_by is None else {GENERATED_BY: self.generated_by}),
        }
