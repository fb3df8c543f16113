"""`ParsedDocuments`: pages and figures that another tool has parsed, pictures with their words."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from langchain_core.documents import BaseDocumentTransformer, Document

from langchain_unisem.document_loaders.folder import OnSkip, log_skipped
from langchain_unisem.image_documents import image_document
from langchain_unisem.metadata import IMAGE_KEY
from unisem.common.skipped import Skipped
from unisem.common.threads import InThread
from unisem.errors import ImageError
from unisem.images.reference import ImageRef
from unisem.ingest.intake import Intake
from unisem.readers.documents.parsed import parsed_part
from unisem.space import SemanticSpace


class ParsedDocuments(BaseDocumentTransformer):
    """Take documents that other loaders made, with the pictures that their metadata speak of.

    Setup:
        ``pip install "unisem[langchain]"``

    Key init args:
        root: The folder that pictures must lie in: where the tool has written them.
        first_page: What ``page`` counts from in the metadata: 0, as LangChain's loaders do, or 1.
        space: Where pictures that are in the metadata themselves (``image_base64``) are kept, as
            in `ImageBlobParser`. Without one, such a document keeps its words only.
        on_skip: Called with each picture that cannot be used, as `Skipped`; by default they are
            logged. Its document keeps its words; one that has none is left out.

    Instantiate:
        ```python
        from langchain_unisem import ParsedDocuments

        parsed = ParsedDocuments("parsed/", space=space)
        ```

    Use between loading and adding:
        ```python
        store.add_documents(parsed.transform_documents(loader.load()))
        ```

    Which names in metadata are understood, and what they become, is said by
    `unisem.readers.documents.parsed.parsed_part`. Documents that stand for pictures already, and
    those that this has made, come back as they are.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        first_page: int = 0,
        space: SemanticSpace | None = None,
        on_skip: OnSkip | None = None,
    ) -> None:
        if not os.path.isdir(root):
            raise NotADirectoryError(f"{os.fspath(root)} is not a folder")
        self._root = os.path.realpath(root)
        self._first_page = first_page
        self._intake = Intake(None if space is None else space.image_library)
        self._keeps_bytes = space is not None
        self._on_skip = log_skipped if on_skip is None else on_skip

    def transform_documents(
        self, documents: Sequence[Document], **kwargs: Any
    ) -> Sequence[Document]:
        """Return the documents, in their order.

        Args:
            documents: Of loaders that parse documents.
            **kwargs: None.
        """
        found = map(self._transformed, documents)
        return [document for document in found if document is not None]

    atransform_documents = InThread(transform_documents).twin

    def _transformed(self, document: Document) -> Document | None:
        if IMAGE_KEY in document.metadata:
            return document
        part = parsed_part(
            document.page_content,
            document.metadata,
            root=self._root,
            first_page=self._first_page,
        )
        image = part.image
        if isinstance(image, ImageRef):
            image = self._inspected(image)
        if isinstance(image, ImageRef):
            return image_document(image, caption=part.text, metadata=part.metadata, id=document.id)
        if image is not None:
            self._on_skip(image)
            if not part.text.strip():
                return None
        return document.model_copy(update={"page_content": part.text, "metadata": part.metadata})

    def _inspected(self, image: ImageRef) -> ImageRef | Skipped:
        if image.data is not None and not self._keeps_bytes:
            return Skipped(
                image.name,
                "is in the metadata, and a document only refers to its picture; give "
                "ParsedDocuments(space=…), which keeps the bytes in that space",
            )
        try:
            return self._intake.inspect(image)
        except ImageError as error:
            return Skipped.of(error)
