"""`ImageFolderLoader`: a folder's captioned pictures as LangChain documents."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document

from langchain_unisem.image_documents import image_document
from langchain_unisem.metadata import (
    IMAGE_KEY,
    MIME_TYPE_KEY,
    REGION_KEY,
    SHA256_KEY,
    set_aside,
)
from unisem.common.skipped import Skipped
from unisem.ingest.intake import Intake
from unisem.ingest.word_reading import WordReading
from unisem.readers import FolderReader
from unisem.recognition import TextRecognizer
from unisem.records import Record

OnSkip = Callable[[Skipped], None]
"""Called with each input that gave no document. What it raises ends the loading."""

_LOGGER = logging.getLogger("langchain_unisem.document_loaders")
_OURS = ("source", IMAGE_KEY, REGION_KEY, SHA256_KEY, MIME_TYPE_KEY)


class ImageFolderLoader(BaseLoader):
    """Load a folder's pictures, subfolders included, each with its caption.

    Captions and metadata are found as `unisem.readers.FolderReader` finds them: in a
    ``metadata.jsonl`` or ``metadata.csv``, or in a text file beside the picture. The folder's
    texts are left to other loaders.

    Setup:
        ``pip install "unisem[langchain]"``

    Key init args:
        folder: The folder. No picture outside it is read, symbolic links resolved.
        on_skip: Called with each picture or line that cannot be used, and each kind of file that
            is not read, as `Skipped` with ``name``
            and ``reason``; the rest is loaded. By default they are logged as warnings. To count
            them give a list's ``append``; to stop at the first, something that raises.
        location: Whether the place where a picture was taken is among its metadata.
        recognizer: Reads the words in pictures: ``"ppocr-v5"`` or a `TextRecognizer`. They come
            behind their picture, as documents of their own with ``recognized`` in their metadata.

    Instantiate:
        ```python
        from langchain_unisem import ImageFolderLoader

        skipped = []
        loader = ImageFolderLoader("photos/", on_skip=skipped.append)
        ```

    Load:
        ```python
        documents = loader.load()
        store.add_documents(documents)  # as pictures
        ```

    Lazy load, async:
        ```python
        for document in loader.lazy_load(): ...
        async for document in loader.alazy_load(): ...
        ```

    A document's ``page_content`` is the caption, ``""`` without one; its ``id`` is the folder's
    name and the path inside, and stays the same from one run to the next; its metadata are the
    columns of the metadata file, what the picture's file knows (``taken``, ``camera`` …, see
    `unisem.images.facts.file_facts.FileFacts`), ``file_name``, ``source`` (the file's absolute
    path), ``sha256``, ``mime_type`` and ``unisem_image``, by which a `UniSemVectorStore` finds the
    picture; without a caption, ``page_content`` is what the file says of itself. A column
    of one of these names comes as ``original_source`` and so on. Pictures are read to take their
    digest and to see that they can be decoded, several at a time; no pixels are kept.

    Raises:
        NotADirectoryError: There is no such folder.
        RecognizerError: There is no such recogniser.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        on_skip: OnSkip | None = None,
        location: bool = True,
        recognizer: str | TextRecognizer | None = None,
    ) -> None:
        self._folder = _ImageReader(folder).folder
        self._location = location
        self._reading = None if recognizer is None else WordReading(recognizer)
        self._on_skip = log_skipped if on_skip is None else on_skip

    def lazy_load(self) -> Iterator[Document]:
        """Yield the documents in a fixed order, reading a few dozen ahead."""
        reader = _ImageReader(
            self._folder, locate=Path.as_posix, documents=False, location=self._location
        )
        found = chain(reader, reader.unread())
        with closing(Intake().inspected(found, reader.described)) as items:
            for item in items if self._reading is None else self._reading.among(items):
                if isinstance(item, Skipped):
                    self._on_skip(item)
                else:
                    yield document_of(item)


def log_skipped(skipped: Skipped) -> None:
    """Log a warning under ``langchain_unisem.document_loaders``."""
    _LOGGER.warning("skipped %s: %s", skipped.name, skipped.reason)


class _ImageReader(FolderReader):
    """Passes over the folder's texts unread."""

    def _text(self, path: Path) -> Iterator[Record | Skipped]:
        del path
        return iter(())


def document_of(record: Record) -> Document:
    """A document of LangChain's; columns of a stranger's table do not say where pictures are."""
    metadata = dict(record.metadata)
    set_aside(metadata, _OURS)
    metadata["source"] = record.source_id
    if record.image is None:
        return Document(id=record.id, page_content=record.text or "", metadata=metadata)
    return image_document(record.image, caption=record.text, metadata=metadata, id=record.id)
