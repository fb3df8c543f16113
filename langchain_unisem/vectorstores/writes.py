"""`SpaceWrites`: the writing half of LangChain's `VectorStore`, over a semantic space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_core.documents import Document

from langchain_unisem.vectorstores.inputs import (
    embedded_of_texts,
    last_of_each_id,
    records_of_documents,
    records_of_images,
    records_of_texts,
)
from langchain_unisem.vectorstores.options import DocumentFilter, select
from langchain_unisem.vectorstores.searches import SpaceSearches
from unisem.common.threads import InThread
from unisem.errors import RecordError
from unisem.images.reference import ImageRef, ImageSource
from unisem.ingest.intake import Intake, Offer, with_digest
from unisem.records import EmbeddedRecord, Record
from unisem.stores.selection import EVERYTHING, as_ids

_CHANGED = ("has changed since its document was made", "; load it again")
Metadatas = Sequence[Mapping[str, Any] | None]


class SpaceWrites(SpaceSearches):
    """Adding texts, documents and pictures, and deleting them.

    A call is all or nothing. Keyword arguments that are not named here are refused, so that a
    misspelt one does not lose metadata or delete everything. The asynchronous twins, most of them
    LangChain's own, run in a thread.
    """

    def add_texts(  # type: ignore[override]  # unknown keywords are refused
        self,
        texts: Iterable[str],
        metadatas: Metadatas | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        batch_size: int | None = None,
    ) -> list[str]:
        """Add texts, all of them or none; an id that exists is replaced.

        Args:
            texts: A list, a generator, …
            metadatas: One dictionary of JSON values, or ``None``, for each text.
            ids: One for each text; ``None`` for one that is made up. Of an id given twice the
                last text counts.
            batch_size: Accepted because LangChain's ``index`` gives it; a call is one batch.

        Returns:
            The ids, in the order of the texts.

        Raises:
            ValueError: There are fewer or more metadatas or ids than texts.
            RecordError: An id or metadata that cannot be kept; names the key.
            TypeError: A text is no string.
        """
        del batch_size
        return self._add(records_of_texts(texts, metadatas, ids))

    def add_documents(  # type: ignore[override]  # unknown keywords are refused
        self,
        documents: Iterable[Document],
        *,
        ids: Sequence[str | None] | None = None,
        batch_size: int | None = None,
    ) -> list[str]:
        """Add documents as `add_texts` does; ``ids`` go before the documents' own.

        A document from a picture loader, or from `image_document`, is stored as a picture with
        its caption. One that a search of this store found keeps its picture, its source and its
        neighbours; its text and metadata replace the record's, without what the search added.

        Raises:
            ImageError: A picture is gone, damaged, outside the allowed folders, or has changed
                since its document was made; names it.
            RecordError: As `add_texts`, an incomplete reference to a picture, or a document of a
                picture that another store has.
            EncoderError: A picture, and the embeddings know texts only.
        """
        del batch_size
        return self._add(records_of_documents(documents, ids, self.space))

    def add_embeddings(
        self,
        text_embeddings: Iterable[tuple[str, Sequence[float]]],
        metadatas: Metadatas | None = None,
        *,
        ids: Sequence[str | None] | None = None,
    ) -> list[str]:
        """Add texts whose vectors are known, as `add_texts` does; nothing is embedded.

        Args:
            text_embeddings: Pairs of a text and its vector, which must come from this store's own
                embeddings; it is scaled to length 1.
            metadatas: As in `add_texts`.
            ids: As in `add_texts`.

        Raises:
            ValueError: A vector of another dimension, of length zero or not finite; names it.
        """
        dimension = self.space.encoder.dimension
        items = embedded_of_texts(text_embeddings, metadatas, ids, dimension)
        last = {item.record.id: item for item in items}
        self.space.add_embedded(list(last.values()))
        return [item.record.id for item in items]

    aadd_embeddings = InThread(add_embeddings).twin

    def add_images(
        self,
        images: Iterable[ImageSource],
        *,
        captions: Sequence[str | None] | None = None,
        metadatas: Metadatas | None = None,
        ids: Sequence[str | None] | None = None,
    ) -> list[str]:
        """Add pictures, all of them or none; an id that exists is replaced.

        A document of a picture has its caption as ``page_content``, ``""`` without one.

        Args:
            images: Paths in the allowed folders, which are referred to; bytes or Pillow pictures,
                which are copied into the space.
            captions: One for each picture, or ``None`` for none.
            metadatas: As in `add_texts`.
            ids: As in `add_texts`.

        Returns:
            The ids, in the order of the pictures.

        Raises:
            ImageError: Names the first picture that cannot be used. URLs are refused.
            EncoderError: The embeddings know texts only.
            ValueError: As `add_texts`.
        """
        return self._add(records_of_images(images, captions, metadatas, ids))

    aadd_images = InThread(add_images).twin

    def delete(  # type: ignore[override]  # unknown keywords are refused
        self, ids: Sequence[str] | None = None, *, filter: DocumentFilter | None = None
    ) -> bool:
        """Delete documents by id, by filter, or those that both name.

        Args:
            ids: Unknown ids are no error.
            filter: As in a search.

        Without either, everything is deleted, as LangChain's interface has it.

        Returns:
            ``True``.

        Raises:
            FilterError: The filter means nothing, or is empty: one that was built from nothing
                would delete everything.
        """
        names: Sequence[str] | None = as_ids(ids)
        chosen = select(self.space, filter)
        if names is not None and chosen.ids is not None:
            names = tuple(set(names) & set(chosen.ids))
        elif names is None:
            names = chosen.ids
        if names is None and chosen.filter is None:
            self.space.store.delete(EVERYTHING)
        else:
            self.space.delete(names, filter=chosen.filter)
        return True

    def _add(self, records: list[Record]) -> list[str]:
        kept = last_of_each_id(records)
        stored = [record for record in kept if _is_stored(record.image)]
        # How many texts go at once is the embeddings' own setting.
        texts = [record for record in kept if record.image is None]
        captions = [Record(id=record.id, text=record.text) for record in stored if record.text]
        plain = [*texts, *captions]
        intake = Intake(self.space.image_library, self.space.encoder)
        pictures = intake.embedded(
            Offer(record, is_wanted=with_digest(record.image.sha256, *_CHANGED))
            for record in kept
            if record.image is not None and not _is_stored(record.image)
        )
        items = {item.record.id: item for item in pictures}
        embedded = intake.embedded(map(Offer, plain), most=max(1, len(plain)))
        items |= {item.record.id: item for item in embedded}
        known = self.space.store.vectors([record.id for record in stored])
        for record, vectors in zip(stored, known, strict=True):
            if vectors is None:
                raise RecordError(f"{record.id!r} has been deleted meanwhile; nothing was added")
            vectors.pop("text", None)
            caption = items[record.id].vectors if record.text else {}
            items[record.id] = EmbeddedRecord(record, {**vectors, **caption})
        self.space.store.add([items[record.id] for record in kept])
        return [record.id for record in records]


def _is_stored(image: ImageRef | None) -> bool:
    """Whether a reference comes from the store itself, whose vector of it need not be made anew."""
    return image is not None and image.sha256 is not None and image.mime_type is not None
