"""`TextsOnly`: a splitter, or any other step for texts, with the pictures led round it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.documents import BaseDocumentTransformer, Document

from langchain_unisem.metadata import IMAGE_KEY, image_digest


class TextsOnly(BaseDocumentTransformer):
    """Applies a transformation to the documents that have no picture; pictures come after them.

    LangChain's splitters cut what a document says. A picture without a caption says nothing, so
    they drop it; one with a long caption becomes several.

    Setup:
        ``pip install "unisem[langchain]" langchain-text-splitters``

    Key init args:
        transformer: What is applied to texts, for example a ``RecursiveCharacterTextSplitter``.

    Instantiate:
        ```python
        from langchain_text_splitters import RecursiveCharacterTextSplitter

        from langchain_unisem import TextsOnly

        splitter = TextsOnly(RecursiveCharacterTextSplitter(chunk_size=1000))
        ```

    Use between loading and adding:
        ```python
        store.add_documents(splitter.transform_documents(documents))
        ```
    """

    def __init__(self, transformer: BaseDocumentTransformer) -> None:
        if not isinstance(transformer, BaseDocumentTransformer):
            raise TypeError(
                "transformer must be a langchain_core BaseDocumentTransformer, such as a text "
                f"splitter, not {type(transformer).__name__}"
            )
        self._transformer = transformer

    def transform_documents(
        self, documents: Sequence[Document], **kwargs: Any
    ) -> Sequence[Document]:
        """Transform the texts; pictures keep their ids, captions and metadata.

        Args:
            documents: Texts and pictures, of loaders or of searches.
            **kwargs: The transformer's own options.
        """
        texts, pictures = _sorted(documents)
        return [
            *(self._transformer.transform_documents(texts, **kwargs) if texts else ()),
            *pictures,
        ]

    async def atransform_documents(
        self, documents: Sequence[Document], **kwargs: Any
    ) -> Sequence[Document]:
        """As `transform_documents`."""
        texts, pictures = _sorted(documents)
        if not texts:
            return pictures
        return [*await self._transformer.atransform_documents(texts, **kwargs), *pictures]


def _sorted(documents: Sequence[Document]) -> tuple[list[Document], list[Document]]:
    texts: list[Document] = []
    pictures: list[Document] = []
    for document in documents:
        picture = IMAGE_KEY in document.metadata or image_digest(document.metadata) is not None
        (pictures if picture else texts).append(document)
    return texts, pictures
