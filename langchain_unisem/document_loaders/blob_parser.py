"""`ImageBlobParser`: LangChain's blobs that are pictures, as documents."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from langchain_core.document_loaders import BaseBlobParser
from langchain_core.documents import Document
from langchain_core.documents.base import Blob

from langchain_unisem.document_loaders.folder import OnSkip, log_skipped
from langchain_unisem.image_documents import image_document
from unisem.common.skipped import Skipped
from unisem.errors import ImageError
from unisem.images.reference import ImageRef
from unisem.ingest.intake import Intake
from unisem.readers.captions import read_sidecar
from unisem.readers.companions import caption_of
from unisem.readers.describing import described
from unisem.records import Record
from unisem.space import SemanticSpace


def caption_of_blob(blob: Blob) -> str | Skipped | None:
    """The caption in the blob's metadata, or else in the text file beside the picture.

    ``metadata["caption"]`` if that is a string; for a blob that is a file, ``tiger.png.txt`` or
    ``tiger.txt`` beside ``tiger.png``. One that cannot be read, or leads into another folder, is
    returned as `Skipped`.
    """
    caption = blob.metadata.get("caption")
    if isinstance(caption, str):
        return caption
    if blob.data is not None or blob.path is None:
        return None
    picture = Path(blob.path)
    return read_sidecar(caption_of(picture), picture.parent)


class ImageBlobParser(BaseBlobParser):
    """Parse a blob that is a picture into one document.

    Setup:
        ``pip install "unisem[langchain]"``

    Key init args:
        space: Where in-memory pictures are kept, as the space's blobs: a document only refers to
            its picture. `SemanticSpace.compact` removes those that no document has brought there
            within a day. Files are referred to where they are, and must lie in the space's
            picture folders. Without a space only blobs that are files are taken.
        caption: Gives a blob's caption; `caption_of_blob` by default.
        on_skip: As of `ImageFolderLoader`; a blob that is no picture is skipped.
        location: Whether the place where a picture was taken is among its metadata.

    Instantiate:
        ```python
        from langchain_unisem import ImageBlobParser

        parser = ImageBlobParser(space=space)
        ```

    Parse:
        ```python
        from langchain_core.document_loaders import Blob

        documents = parser.parse(Blob.from_data(data, path="scan-7", metadata={"caption": "a cat"}))
        ```

    Use with a loader of blobs, such as ``FileSystemBlobLoader`` of ``langchain_community``:
        ```python
        for blob in blob_loader.yield_blobs():
            store.add_documents(parser.parse(blob))
        ```

    The document's ``page_content`` is the caption, or else what the file says of itself; its
    ``id`` is the blob's, or else its source, or else the digest; its metadata are the blob's, what
    the file knows, ``source`` if the blob has one, ``sha256``, ``mime_type`` (by content, whatever
    the blob says) and ``unisem_image``.
    """

    def __init__(
        self,
        *,
        space: SemanticSpace | None = None,
        caption: Callable[[Blob], str | Skipped | None] = caption_of_blob,
        on_skip: OnSkip | None = None,
        location: bool = True,
    ) -> None:
        self._space = space
        self._caption = caption
        self._location = location
        self._on_skip = log_skipped if on_skip is None else on_skip

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield the picture's document; nothing if it cannot be used.

        Raises:
            ValueError: The blob is in memory, and there is no space to keep it.
        """
        if blob.data is not None and self._space is None:
            raise ValueError(
                f"{blob.source or 'the blob'} is in memory, and a document only refers to its "
                "picture; give ImageBlobParser(space=…), which keeps the bytes in that space"
            )
        try:
            document = self._document(blob)
        except ImageError as error:
            self._on_skip(Skipped(_source(blob) or error.name, error.reason))
            return
        yield document

    def _document(self, blob: Blob) -> Document:
        pictures = None if self._space is None else self._space.image_library
        file = None if blob.data is not None or blob.path is None else Path(blob.path)

        def known_of(record: Record, data: bytes) -> Record:
            caption = self._caption(blob)
            if isinstance(caption, Skipped):
                self._on_skip(caption)
                caption = None
            return described(replace(record, text=caption), data, file, location=self._location)

        known = Intake(pictures).inspect_record(Record(image=_reference(blob)), known_of)
        assert known.image is not None
        source = _source(blob)
        return image_document(
            known.image,
            caption=known.text,
            metadata={**known.metadata, **blob.metadata}
            | ({} if source is None else {"source": source}),
            id=blob.id or source or known.image.sha256,
        )


def _source(blob: Blob) -> str | None:
    return None if blob.source is None else str(blob.source)  # metadata may hold a Path


def _reference(blob: Blob) -> ImageRef:
    if blob.data is not None:
        return ImageRef(data=blob.as_bytes())
    assert blob.path is not None
    return ImageRef(path=Path(os.path.abspath(blob.path)))
