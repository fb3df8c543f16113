"""`DocumentLoader`: documents with their figures, as LangChain documents."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document

from langchain_unisem.document_loaders.folder import OnSkip, document_of, log_skipped
from unisem.common.skipped import Skipped
from unisem.encoders import Encoder
from unisem.ingest.intake import Intake
from unisem.ingest.word_reading import WordReading
from unisem.readers import FolderReader
from unisem.readers.chunks import everything
from unisem.recognition import TextRecognizer, load_recognizer
from unisem.space import SemanticSpace

_INSIDE = (
    "has its picture inside the document, and LangChain's documents only refer to pictures; its "
    "words are loaded. With space=… that space keeps the picture"
)


class DocumentLoader(BaseLoader):
    """Load a document, or a folder of documents, texts and pictures: passages, figures, tables.

    Setup:
        ``pip install "unisem[langchain,documents]"``

    Key init args:
        path: A file or a folder; formats as in `unisem.readers.documents.formats`.
        chunk_size: Characters that a passage may have.
        encoder: The encoder of the space that is to store them; no passage has more tokens than
            it reads. `SemanticSpace.add_folder` uses its own.
        space: Where pictures that are inside a document (EPUB, Office, notebooks, ``data:``) are
            kept, as of `ImageBlobParser`; all others must lie in its picture folders then. Without
            a space only their words are loaded, and `on_skip` is told.
        on_skip: Called with each input that cannot be used; a warning is logged by default.
        recognizer: Reads the words in pictures and on scanned pages: ``"ppocr-v5"`` or a
            `TextRecognizer`. Words of a picture come behind it, ``recognized`` in their metadata.

    Instantiate:
        ```python
        from langchain_unisem import DocumentLoader

        store.add_documents(DocumentLoader("manuals/machine.pdf").load())
        ```

    Metadata are those of `unisem.readers.documents.assembly` (``file_name``, ``page``, ``section``,
    ``label``, ``caption``, ``box`` …), and ``source``, the file's absolute path. A figure refers to
    its region of the page; nothing is copied, and a `UniSemVectorStore` renders it when it embeds
    it.

    Raises:
        FileNotFoundError: There is no such file or folder.
        RecognizerError: There is no such recogniser.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        chunk_size: int = 1000,
        encoder: Encoder | None = None,
        space: SemanticSpace | None = None,
        on_skip: OnSkip | None = None,
        recognizer: str | TextRecognizer | None = None,
    ) -> None:
        self._path = Path(path)
        if not self._path.exists():
            raise FileNotFoundError(f"there is no {path}")
        self._chunk_size = chunk_size
        self._reads_whole = everything if encoder is None else encoder.reads_whole
        self._image_library = None if space is None else space.image_library
        self._on_skip = log_skipped if on_skip is None else on_skip
        self._recognizer = None if recognizer is None else load_recognizer(recognizer)

    def lazy_load(self) -> Iterator[Document]:
        """Yield passages and figures in reading order."""
        is_folder = self._path.is_dir()
        reader = FolderReader(
            self._path if is_folder else self._path.parent,
            chunk_size=self._chunk_size,
            reads_whole=self._reads_whole,
            locate=lambda path: Path(os.path.realpath(path)).as_posix(),
            recognizer=self._recognizer,
        )
        items = reader if is_folder else reader.read_one(self._path)
        words = self._recognizer
        reading = None if words is None else WordReading(words, self._reads_whole)
        with closing(Intake(self._image_library).inspected(items, reader.described)) as inspected:
            for item in inspected if reading is None else reading.among(inspected):
                if isinstance(item, Skipped):
                    self._on_skip(item)
                elif item.image is not None and item.image.path is None:
                    self._on_skip(Skipped(item.id, _INSIDE))
                    if item.text:
                        yield document_of(replace(item, image=None))
                else:
                    yield document_of(item)
