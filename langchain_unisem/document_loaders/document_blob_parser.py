"""`DocumentBlobParser`: LangChain's blobs that are documents, with their figures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from langchain_core.document_loaders import BaseBlobParser
from langchain_core.documents import Document
from langchain_core.documents.base import Blob

from langchain_unisem.document_loaders.documents import DocumentLoader
from langchain_unisem.document_loaders.folder import OnSkip, log_skipped
from unisem.common.skipped import Skipped
from unisem.encoders import Encoder
from unisem.recognition import TextRecognizer, load_recognizer
from unisem.space import SemanticSpace


class DocumentBlobParser(BaseBlobParser):
    """Parse a blob that is a document into passages, figures and tables.

    Setup:
        ``pip install "unisem[langchain,documents]"``

    Key init args:
        chunk_size, encoder, space, on_skip, recognizer: As of `DocumentLoader`.

    Instantiate:
        ```python
        from langchain_unisem import DocumentBlobParser

        parser = DocumentBlobParser(encoder=space.encoder)
        ```

    Use with a loader of blobs, such as ``FileSystemBlobLoader`` of ``langchain_community``:
        ```python
        for blob in blob_loader.yield_blobs():
            store.add_documents(parser.parse(blob))
        ```

    What a blob gives is what `DocumentLoader` gives of its file. Ids begin with the file's absolute
    path, so that files of one name do not replace each other. What the blob's metadata say comes
    along under names that are not taken.

    Raises:
        RecognizerError: There is no such recogniser.
    """

    def __init__(
        self,
        *,
        chunk_size: int = 1000,
        encoder: Encoder | None = None,
        space: SemanticSpace | None = None,
        on_skip: OnSkip | None = None,
        recognizer: str | TextRecognizer | None = None,
    ) -> None:
        self._chunk_size = chunk_size
        self._encoder = encoder
        self._space = space
        self._on_skip = log_skipped if on_skip is None else on_skip
        self._recognizer = None if recognizer is None else load_recognizer(recognizer)

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield passages and figures in reading order; nothing if the file cannot be used.

        Raises:
            ValueError: The blob is in memory.
        """
        if blob.data is not None or blob.path is None:
            raise ValueError(
                f"{blob.source or 'the blob'} is in memory, and a figure refers to its page in a "
                "file; save it, and parse Blob.from_path(…)"
            )
        path = Path(blob.path)
        if not path.is_file():
            self._on_skip(Skipped(str(path), "is no file that is there"))
            return
        loader = DocumentLoader(
            path,
            chunk_size=self._chunk_size,
            encoder=self._encoder,
            space=self._space,
            on_skip=self._on_skip,
            recognizer=self._recognizer,
        )
        beginning = f"{os.path.basename(os.path.realpath(path.parent))}/{path.name}"
        for document in loader.lazy_load():
            rest = (document.id or "").removeprefix(beginning)
            document.id = f"{document.metadata['source']}{rest}"
            document.metadata = {**blob.metadata, **document.metadata}
            yield document
