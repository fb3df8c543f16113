"""`SpaceDocuments`: the documents of a semantic space behind LangChain's `VectorStore`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore

from langchain_unisem.documents import record_to_document, relevance, stored_hit_to_document
from langchain_unisem.queries import ImageQuery
from langchain_unisem.vectorstores.inputs import (
    embedded_of_texts,
    last_of_each_id,
    records_of_documents,
    records_of_images,
    records_of_texts,
)
from langchain_unisem.vectorstores.options import (
    DocumentFilter,
    check_share,
    search,
    select,
    vector_of,
)
from langchain_unisem.vectorstores.retriever import MODES, UniSemVectorStoreRetriever
from unisem.common.threads import InThread
from unisem.errors import RecordError
from unisem.images.reference import ImageRef, ImageSource
from unisem.ingest.fusing import captioned_vectors
from unisem.ingest.intake import Offer, with_digest
from unisem.records import EmbeddedRecord, Record
from unisem.space import SemanticSpace
from unisem.stores.hits import Hit
from unisem.stores.selection import EVERYTHING, as_ids

_CHANGED = ("has changed since its document was made", "; load it again")
Metadatas = Sequence[Mapping[str, Any] | None]


class SpaceDocuments(VectorStore):
    """Adding, deleting, and every search that LangChain knows, for texts and for pictures.

    What changes documents is all or nothing. A ``query`` is a text, or an `ImageQuery`;
    ``**kwargs`` are the fields of `langchain_unisem.vectorstores.options.StoreSearchOptions`.
    Others are refused everywhere, so that a misspelt one does not lose metadata, restrict nothing
    or delete everything. The asynchronous twins, most of them LangChain's own, run in a thread.
    """

    @property
    @abstractmethod
    def space(self) -> SemanticSpace:
        """Where the documents are, and their pictures."""

    # -- writing -------------------------------------------------------------------------------

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
        intake = self.space.intake
        pictures = intake.embedded(
            Offer(record, is_wanted=with_digest(record.image.sha256, *_CHANGED))
            for record in kept
            if record.image is not None and not _is_stored(record.image)
        )
        items = {item.record.id: item for item in pictures}
        embedded = intake.embedded(map(Offer, plain), most=max(1, len(plain)))
        items |= {item.record.id: item for item in embedded}
        names = [record.id for record in stored]
        known = zip(self.space.get(names), self.space.store.vectors(names), strict=True)
        for record, (old, vectors) in zip(stored, known, strict=True):
            if old is None or vectors is None:
                raise RecordError(f"{record.id!r} has been deleted meanwhile; nothing was added")
            if record.text:
                # Fused with the picture that is stored, whose vector it keeps.
                captioned, caption = replace(old, text=record.text), items[record.id].vectors
                vectors = captioned_vectors(self.space.encoder, captioned, vectors, caption["text"])
            else:
                vectors = {kind: rows for kind, rows in vectors.items() if kind == "image"}
            items[record.id] = EmbeddedRecord(record, vectors)
        self.space.store.add([items[record.id] for record in kept])
        return [record.id for record in records]

    # -- reading -------------------------------------------------------------------------------

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return the documents of these ids, in order, each once; unknown ids are left out."""
        found = self.space.get(list(dict.fromkeys(as_ids(ids) or ())))
        return [record_to_document(record) for record in found if record is not None]

    def similarity_search(
        self, query: str | ImageQuery, k: int = 4, **kwargs: Any
    ) -> list[Document]:
        """Find the documents nearest to a text or a picture.

        Returns:
            Exactly ``min(k, matching documents)``, best first, ties by id.

        Raises:
            FilterError: The filter means nothing.
            ImageError: The query's picture cannot be used.
            TypeError: ``query`` is neither text nor `ImageQuery`, or an option is unknown.
            ValueError: An option is out of range.
        """
        return _documents(search(self.space, query, k, kwargs))

    def similarity_search_with_score(
        self, query: str | ImageQuery, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """As `similarity_search`, each with its score, higher is better.

        The score is the cosine, from -1 to 1; with ``mode="keyword"`` it is BM25, and with
        ``mode="hybrid"`` what the fusion gives.
        """
        return _scored(search(self.space, query, k, kwargs), float)

    def similarity_search_with_relevance_scores(
        self, query: str | ImageQuery, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """As `similarity_search`, each with its relevance, ``(1 + cosine) / 2``, from 0 to 1.

        ``score_threshold`` is the least relevance that comes back.

        Raises:
            ValueError: As `similarity_search`, or a mode other than ``"vector"``, whose scores
                have no fixed range.
        """
        if kwargs.get("mode", "vector") != "vector":
            raise ValueError('only mode "vector" has relevance scores from 0 to 1')
        return _scored(search(self.space, query, k, kwargs), relevance)

    asimilarity_search_with_relevance_scores = InThread(
        similarity_search_with_relevance_scores
    ).twin

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[Document]:
        """Find the documents nearest to a vector of the store's own embeddings.

        Raises:
            StoreError: The vector's dimension is not the store's.
            ValueError: It is no list of numbers, zero or not finite.
        """
        return _documents(self._by_vector(embedding, k, kwargs))

    def similarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """As `similarity_search_by_vector`, each with its cosine."""
        return _scored(self._by_vector(embedding, k, kwargs), float)

    asimilarity_search_with_score_by_vector = InThread(similarity_search_with_score_by_vector).twin

    def similarity_search_by_image(
        self, image: ImageSource, k: int = 4, *, text: str | None = None, **kwargs: Any
    ) -> list[Document]:
        """Find what is nearest to a picture, or to a picture and a text.

        The other searches do the same with ``ImageQuery(image, text)`` as their query.

        Args:
            image: A path, bytes or a Pillow picture; URLs are refused.
            k: As in `similarity_search`.
            text: Words to search with as well; ``text_weight`` is their share.
            **kwargs: As in `similarity_search`.

        Raises:
            ImageError: The picture cannot be used.
            EncoderError: The embeddings know texts only.
        """
        return self.similarity_search(ImageQuery(image, text), k, **kwargs)

    asimilarity_search_by_image = InThread(similarity_search_by_image).twin

    def max_marginal_relevance_search(
        self,
        query: str | ImageQuery,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """Find documents that are near and do not all say the same.

        Args:
            query: As in `similarity_search`.
            k: Documents at most.
            fetch_k: Candidates to choose from, never fewer than ``k``; a filter has been applied.
            lambda_mult: From 0, only diversity after the first, to 1, only relevance.
            **kwargs: As in `similarity_search`; ``score_threshold`` cuts the candidates.

        Returns:
            Documents in the order they were chosen.
        """
        kwargs["fetch_k"] = fetch_k
        share = check_share(lambda_mult, "lambda_mult")
        return _documents(search(self.space, query, k, kwargs, lambda_mult=share))

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """As `max_marginal_relevance_search`, for a vector."""
        kwargs["fetch_k"] = fetch_k
        share = check_share(lambda_mult, "lambda_mult")
        return _documents(self._by_vector(embedding, k, kwargs, share))

    def search(self, query: str | ImageQuery, search_type: str, **kwargs: Any) -> list[Document]:
        """Search by type.

        Args:
            query: As in `similarity_search`.
            search_type: ``"similarity"``, ``"mmr"``, ``"similarity_score_threshold"``,
                ``"keyword"`` or ``"hybrid"``.
            **kwargs: What the search of that type takes.

        Raises:
            ValueError: There is no such type, or as `similarity_search`.
        """
        if search_type in MODES:
            return self.similarity_search(query, **({"mode": search_type} | kwargs))
        if search_type not in (known := UniSemVectorStoreRetriever.allowed_search_types):
            names = ", ".join(f'"{name}"' for name in known)
            raise ValueError(f"search_type must be one of {names}, not {search_type!r}")
        return super().search(query, search_type, **kwargs)  # type: ignore[arg-type]

    asearch = InThread(search).twin

    def as_retriever(self, **kwargs: Any) -> UniSemVectorStoreRetriever:
        """Return a retriever over this store.

        Args:
            **kwargs: ``search_type`` as in `search`; ``search_kwargs``, a dictionary of ``k`` and
                whatever that search takes; ``tags``, ``metadata`` and ``name`` as for every
                retriever. A ``k`` beside ``search_kwargs`` is refused: LangChain would ignore it.
        """
        tags = kwargs.pop("tags", None) or self._get_retriever_tags()
        options = dict(kwargs.pop("search_kwargs", None) or {})
        threshold = options.get("score_threshold")
        if isinstance(threshold, int) and not isinstance(threshold, bool):
            options["score_threshold"] = float(threshold)  # LangChain accepts no 0 and no 1
        return UniSemVectorStoreRetriever(
            vectorstore=self, tags=list(tags), search_kwargs=options, **kwargs
        )

    def _by_vector(
        self,
        embedding: list[float],
        k: int,
        options: dict[str, Any],
        lambda_mult: float | None = None,
    ) -> list[Hit]:
        vector = vector_of(embedding)
        return search(self.space, "", k, options, vector=vector, lambda_mult=lambda_mult)

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return relevance


def _documents(hits: list[Hit]) -> list[Document]:
    return [stored_hit_to_document(hit) for hit in hits]


def _scored(hits: list[Hit], scale: Callable[[float], float]) -> list[tuple[Document, float]]:
    return [(stored_hit_to_document(hit), scale(hit.score)) for hit in hits]


def _is_stored(image: ImageRef | None) -> bool:
    """Whether a reference comes from the store itself, whose vector of it need not be made anew."""
    return image is not None and image.sha256 is not None and image.mime_type is not None
