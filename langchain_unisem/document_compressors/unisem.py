"""`UniSemReranker`: a UniSem reranker as a LangChain document compressor and as a runnable."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any, Literal, Self, TypedDict

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.runnables import RunnableConfig, RunnableSerializable
from pydantic import ConfigDict, Field, InstanceOf, model_validator

from langchain_unisem.documents import check_documents, each_once, records_found
from langchain_unisem.metadata import own_metadata, put_score, search_score
from langchain_unisem.queries import ImageQuery, image_of, text_of
from unisem.common.threads import InThread
from unisem.errors import CalibrationError
from unisem.records import Modality, Record
from unisem.rerank import Reranker
from unisem.search.reranking import Ranked, Reranking
from unisem.space import SemanticSpace


class RerankInput(TypedDict, total=False):
    """What the runnable takes: one of the first two, and one of the last two. More is ignored."""

    question: str | ImageQuery
    query: str | ImageQuery
    context: Sequence[Document]
    documents: Sequence[Document]


class UniSemReranker(BaseDocumentCompressor, RunnableSerializable[dict[str, Any], list[Document]]):
    """Put documents in the order of a model that reads each one together with the query.

    Setup:
        ``pip install "unisem[langchain]"``

    Key init args:
        model: A directory with a cross encoder, or a hub id such as
            ``"cross-encoder/ms-marco-MiniLM-L6-v2"``.
        reranker: A `unisem.rerank.Reranker` made already, instead of ``model``, ``device`` and
            ``dtype``; or a `unisem.search.Reranking` of one.
        modalities: What is judged: ``["image"]``, documents of pictures; ``["text"]``, the others;
            both by default. The rest keep their places.
        seconds: How long it may take; what there was no time for keeps its place.
        space: Where the documents' pictures are, by the documents' ids and the pictures' digests.
            Without it, and for documents of other stores, the text alone is judged.
        top_n: How many documents at most; all of them if ``None``.

    Instantiate:
        ```python
        from langchain_unisem import UniSemReranker

        reranker = UniSemReranker(model="cross-encoder/ms-marco-MiniLM-L6-v2", top_n=3)
        ```

    Rerank:
        ```python
        reranker.compress_documents(documents, "a striped cat")
        reranker.compress_documents(documents, ImageQuery("tiger.jpg"))
        await reranker.acompress_documents(documents, "a striped cat")
        ```

    Use within a chain:
        ```python
        chain = (
            {"context": retriever, "question": RunnablePassthrough()}
            | RunnablePassthrough.assign(context=reranker)
            | prompt
            | llm
        )
        ```

    Documents come back as copies with the same id, their text as it was, and the model's score, a
    Python float, in ``metadata["relevance_score"]``; a value that stood there and is not of a
    search comes as ``original_relevance_score``. What was found twice is judged once. Those that
    the model does not judge (a picture without caption, and a model that reads texts only) keep
    their places, with the score of the one before. If it judges none of them all keep their order
    and their metadata. What the model said is in ``metadata["unisem"]["judged"]``.
    See docs/guides/rerankers.md.

    Raises:
        RerankerError: There is no such model.
        ValueError: Neither ``model`` nor ``reranker``, or ``reranker`` together with an argument
            that it replaces.
    """

    model_config = ConfigDict(
        extra="forbid", arbitrary_types_allowed=True, protected_namespaces=(), frozen=True
    )

    model: str = ""
    reranker: Reranker | InstanceOf[Reranking] = Field(
        default=None,  # type: ignore[assignment]
        repr=False,
        exclude=True,
    )
    space: SemanticSpace | None = Field(default=None, exclude=True)
    top_n: int | None = Field(default=None, ge=1, strict=True)
    modalities: tuple[Modality, ...] | None = None
    seconds: float | None = Field(default=None, gt=0)
    search_weight: float | None = Field(default=None, ge=0, le=1)
    device: str | None = None
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"

    @model_validator(mode="after")
    def _find_reranker(self) -> Self:
        put = object.__setattr__  # the fields are frozen for everybody else
        if "reranker" not in self.model_fields_set:
            if not self.model:
                raise ValueError("say which model reranks: model=, a directory or a hub id")
            put(self, "reranker", self._loaded())
            return self
        replaced = self.model_fields_set & {"model", "device", "dtype"}
        # A runnable with configurable fields is made anew from all the fields of another.
        if replaced and self.model != self.reranker.name:
            raise ValueError(f"give either reranker or {', '.join(sorted(replaced))}, not both")
        put(self, "model", self.reranker.name)
        return self

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Return ``False``: a model and a space are not written into a chain's file."""
        return False

    def compress_documents(
        self,
        documents: Sequence[Document],
        query: str | ImageQuery,
        callbacks: Callbacks | None = None,
    ) -> list[Document]:
        """Rerank documents.

        Args:
            documents: What a retriever found; it is left as it is.
            query: Text, or an `ImageQuery` for a picture with or without text.
            callbacks: As every compressor takes them. Nothing inside calls any: use the runnable
                for a step of its own in a trace.

        Returns:
            Copies, best first, ties by id; at most ``top_n``.

        Raises:
            RerankerError: The model cannot judge such a query: a picture, and it reads texts only.
            ImageError: The query's picture cannot be used.
            TypeError: ``documents`` is no sequence of documents, or ``query`` no query.
        """
        del callbacks
        text, image = text_of(query), image_of(query)
        check_documents(documents)
        kept = each_once(documents)
        reranking = self._reranking
        ranked = reranking.rank(
            None if image is not None and not text else text,
            image,
            self._records(kept),
            reranking.mixable([search_score(document.metadata) for document in kept]),
        )
        return [
            _scored(kept[one.position], one, self.reranker.name) for one in ranked[: self.top_n]
        ]

    def _loaded(self) -> Reranker | Reranking:
        encoder = None if self.space is None else self.space.encoder
        load = partial(
            Reranking.load, self.model, device=self.device, dtype=self.dtype, encoder=encoder
        )
        try:
            found = load()  # also beside a weight: a copy of other fields may have none
        except CalibrationError:
            if self.search_weight is None:
                raise
            found = load(search_weight=self.search_weight)
        return found.reranker if found.calibration is None else found

    @property
    def _reranking(self) -> Reranking:
        said = {"modalities": self.modalities, "seconds": self.seconds}
        given: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
        reranking = replace(Reranking.of(self.reranker), **given)
        if self.search_weight is not None:
            reranking = reranking.weighted(self.search_weight)
        return reranking.at(None if self.space is None else self.space.path)

    acompress_documents = InThread(compress_documents).twin

    def invoke(
        self, input: dict[str, Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> list[Document]:
        """Rerank inside a chain.

        Args:
            input: `RerankInput`: the query under ``"question"`` or ``"query"``, the documents
                under ``"context"`` or ``"documents"``.
            config: As for every runnable.
            **kwargs: None are known.

        Returns:
            As `compress_documents`.

        Raises:
            ValueError: The query or the documents are missing, or given twice.
            TypeError: ``input`` is no dictionary, or has a part of another type, or an unknown
                argument is given.
        """
        _refuse(kwargs)
        return self._call_with_config(self._rerank, input, config)

    async def ainvoke(
        self, input: dict[str, Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> list[Document]:
        """As `invoke`, in a thread."""
        _refuse(kwargs)
        return await self._acall_with_config(self._arerank, input, config)

    def _rerank(self, input: dict[str, Any]) -> list[Document]:
        documents = _one_of(input, "context", "documents")
        return self.compress_documents(documents, _one_of(input, "question", "query"))

    _arerank = InThread(_rerank).twin

    def _records(self, documents: Sequence[Document]) -> list[Record]:
        found: Sequence[Record | None] = [None] * len(documents)
        if self.space is not None:
            found = records_found(documents, self.space)
        return [
            _as_record(place, document, known)
            for place, (document, known) in enumerate(zip(documents, found, strict=True))
        ]


def _as_record(place: int, document: Document, known: Record | None) -> Record:
    """What is judged: the document's text as it is now, and the picture that it was found with."""
    return Record.restored(
        id=document.id or f"document {place:06}",
        text=document.page_content.encode("utf-8", "replace").decode("utf-8"),
        image=None if known is None else known.image,
        metadata=own_metadata(document.metadata),
        source_id=None if known is None else known.source_id,
        links={} if known is None else known.links,
        payload={},
    )


def _scored(document: Document, ranked: Ranked, reranker: str) -> Document:
    metadata = deepcopy(document.metadata)
    if ranked.score is not None:
        put_score(metadata, ranked.score, reranker, ranked.judged)
    return document.model_copy(update={"metadata": metadata})


def _one_of(input: dict[str, Any], *names: str) -> Any:
    if not isinstance(input, dict):
        raise TypeError(
            'a reranker in a chain takes {"question": …, "context": documents}, '
            f"not {type(input).__name__}"
        )
    given = [name for name in names if name in input]
    if len(given) != 1:
        raise ValueError(
            f"a reranker in a chain needs exactly one of {' and '.join(map(repr, names))}, "
            f"and got {', '.join(map(repr, input)) or 'nothing'}"
        )
    return input[given[0]]


def _refuse(options: dict[str, Any]) -> None:
    if options:
        raise TypeError(f"unknown option {', '.join(sorted(options))} of a reranker")
