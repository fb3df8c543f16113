"""`UniSemImageReader`: a folder of captioned pictures, and of texts, as LlamaIndex documents."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.readers.base import BasePydanticReader, ResourcesReaderMixin
from llama_index.core.schema import Document, ImageDocument, MediaResource

from unisem.common.skipped import Skipped
from unisem.errors import ImageError
from unisem.ingest.intake import Intake
from unisem.ingest.word_reading import WordReading
from unisem.readers import FolderReader
from unisem.recognition import TextRecognizer, load_recognizer
from unisem.records import Record

_log = logging.getLogger(__name__)

_NOT_EMBEDDED = [
    *("file_name", "file_path", "recognized", "sha256", "video"),
    *("taken", "camera", "lens", "creator", "copyright"),
    *("width", "height", "orientation", "latitude", "longitude", "altitude", "rating"),
]
_NOT_SHOWN = ["file_path", "sha256", "video", "width", "height", "orientation"]


class UniSemImageReader(BasePydanticReader, ResourcesReaderMixin):
    """Documents of a folder's pictures and texts, subfolders included, in sorted order.

    A picture is an ``ImageDocument``: its caption, if it has one, is the text, and its bytes stay
    in the file. Captions, metadata and ids are those of `unisem.readers.FolderReader`; a text is
    one document, whole. ``metadata["sha256"]`` is the digest of the file's bytes, so that pipeline
    caches, ``refresh_ref_docs`` and upserts notice a picture that has changed under its name.

    Every picture is decoded once, small. What cannot be used is left out, counted in the log, and
    listed in ``skipped``.

    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> from llama_index_unisem import UniSemImageReader
    >>> with TemporaryDirectory() as folder:
    ...     Image.new("RGB", (8, 8)).save(f"{folder}/black.png")
    ...     [document.metadata["file_name"] for document in UniSemImageReader(folder).load_data()]
    ['black.png']
    """

    input_dir: str | None = Field(default=None, description="The folder to read.")
    _skipped: list[Skipped] = PrivateAttr(default_factory=list)
    _location: bool = PrivateAttr(default=True)
    _recognizer: TextRecognizer | None = PrivateAttr(default=None)
    _folders: dict[str, FolderReader] = PrivateAttr(default_factory=dict)

    def __init__(
        self,
        input_dir: str | os.PathLike[str] | None = None,
        *,
        is_remote: bool = False,
        location: bool = True,
        recognizer: str | TextRecognizer | None = None,
    ) -> None:
        """Nothing is read yet.

        Args:
            input_dir: The folder; not needed for reading single files, as
                ``SimpleDirectoryReader`` does through its ``file_extractor``.
            is_remote: As in every LlamaIndex reader.
            location: Whether the place where a picture was taken is among its metadata.
            recognizer: Reads the words in pictures and on scanned pages: ``"ppocr-v5"`` or a
                `TextRecognizer`. Words of a picture come behind it, as documents of their own with
                ``recognized`` in their metadata.

        Raises:
            NotADirectoryError: There is no such folder.
            RecognizerError: There is no such recogniser.
        """
        folder = None if input_dir is None else os.path.realpath(input_dir)
        if folder is not None and not os.path.isdir(folder):
            raise NotADirectoryError(f"{input_dir} is not a folder")
        super().__init__(is_remote=is_remote)
        self._location = location
        self._recognizer = None if recognizer is None else load_recognizer(recognizer)
        self.input_dir = folder

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex serialises this class."""
        return "UniSemImageReader"

    @property
    def skipped(self) -> list[Skipped]:
        """What was left out since the last whole folder was begun, and why."""
        return list(self._skipped)

    def lazy_load_data(
        self,
        file: str | os.PathLike[str] | None = None,
        extra_info: dict[str, Any] | None = None,
        fs: Any = None,
    ) -> Iterator[Document]:
        """Read one document after the other.

        Args:
            file: One picture or text; the whole of ``input_dir`` if ``None``.
            extra_info: More metadata for every document; the reader's own count before them.
            fs: ``None``: pictures are read from this machine.

        Raises:
            ValueError: Neither a file nor an ``input_dir``, a folder for a file, or a file system.
        """
        if fs is not None:
            raise ValueError("UniSemImageReader reads files of this machine only; give no fs")
        if file is None and self.input_dir is None:
            raise ValueError("give UniSemImageReader an input_dir, or load_data a file")
        if file is not None and os.path.isdir(file):
            raise ValueError(f"{file} is a folder; UniSemImageReader(folder).load_data() reads one")
        return self._documents(None if file is None else Path(file), extra_info or {})

    def load_data(
        self,
        file: str | os.PathLike[str] | None = None,
        extra_info: dict[str, Any] | None = None,
        fs: Any = None,
    ) -> list[Document]:
        """Read the folder, or one file; see `lazy_load_data`."""
        return list(self.lazy_load_data(file, extra_info, fs))

    # -- resources -----------------------------------------------------------------------------

    def list_resources(self, *args: Any, **kwargs: Any) -> list[str]:
        """The paths of the pictures, texts and documents in ``input_dir``.

        Args:
            *args: None.
            **kwargs: None.
        """
        return [
            str(self._path(item) if isinstance(item, Record) else item.source.path)
            for item in self._folder()
            if not isinstance(item, Skipped)
        ]

    def get_resource_info(self, resource_id: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Path, name and size of a file.

        Args:
            resource_id: Its path.
            *args: None.
            **kwargs: None.
        """
        path = Path(resource_id)
        size = path.stat().st_size
        name = path.name
        if self.input_dir is not None:
            name = self._single(path).within(path).relative_to(self.input_dir).as_posix()
        return {"file_path": str(path), "file_name": name, "file_size": size}

    def load_resource(self, resource_id: str, *args: Any, **kwargs: Any) -> list[Document]:
        """Read one file.

        Args:
            resource_id: Its path.
            *args: None.
            **kwargs: ``extra_info``, as in `load_data`.
        """
        return self.load_data(resource_id, kwargs.get("extra_info"))

    # -- reading -------------------------------------------------------------------------------

    def _documents(self, file: Path | None, extra: dict[str, Any]) -> Iterator[Document]:
        folder = ""
        if file is not None:
            reader = self._single(file)
            items = reader.read_one(file)
            folder = "" if self.input_dir else str(reader.folder.parent / "x")[:-1]
        else:
            self._skipped.clear()
            reader = self._folder()
            items = chain(reader, reader.unread())
        read = None if self._recognizer is None else WordReading(self._recognizer).among
        with closing(Intake().inspected(items, reader.described)) as inspected:
            for item in inspected if read is None else read(inspected):
                if isinstance(item, Skipped):
                    self._leave_out(item)
                    continue
                try:
                    document = self._document(item, extra, folder)
                except ImageError as error:  # a region that was rendered once may not be again
                    self._leave_out(Skipped.of(error))
                    continue
                yield document
        if file is None and self._skipped:
            _log.warning("%d inputs were left out", len(self._skipped))

    def _leave_out(self, skipped: Skipped) -> None:
        self._skipped.append(skipped)
        _log.warning("%s is left out: %s", skipped.name, skipped.reason)

    def _folder(self) -> FolderReader:
        if self.input_dir is None:
            raise ValueError("give UniSemImageReader an input_dir")
        return self._reader(self.input_dir)

    def _single(self, file: Path) -> FolderReader:
        """What reads a file's folder; it knows the folder's metadata files already."""
        folder = self.input_dir or os.path.realpath(os.path.dirname(os.path.abspath(file)))
        if folder not in self._folders:
            self._folders[folder] = self._reader(folder)
        return self._folders[folder]

    def _reader(self, folder: str) -> FolderReader:
        return FolderReader(
            folder,
            chunk_size=sys.maxsize,
            location=self._location,
            recognizer=self._recognizer,
        )

    def _document(self, record: Record, extra: dict[str, Any], folder: str) -> Document:
        path = self._path(record)
        metadata = {**extra, **record.metadata, "file_path": str(path)}
        common: dict[str, Any] = {
            # Two folders of one name must not share ids where nobody has said which folder it is.
            "id_": f"{folder}{record.id}",
            "excluded_embed_metadata_keys": list(_NOT_EMBEDDED),
            "excluded_llm_metadata_keys": list(_NOT_SHOWN),
        }
        if record.image is None:
            text = record.text or ""
            metadata["sha256"] = hashlib.sha256(text.encode()).hexdigest()
            return Document(text=text, metadata=metadata, **common)
        metadata["sha256"] = record.image.sha256
        image = record.image
        if image.path is not None and image.region is None:
            resource = MediaResource(path=path, mimetype=image.mime_type)
        else:  # no other component could take it out of the document
            resource = MediaResource(data=b64encode(image.read_bytes()), mimetype=image.mime_type)
        return ImageDocument(
            # A document without any text resource is known to pipeline caches by nothing at all.
            text_resource=MediaResource(text=record.text or ""),
            image_resource=resource,
            metadata=metadata,
            **common,
        )

    def _path(self, record: Record) -> Path:
        if record.image is not None and record.image.path is not None:
            return record.image.path
        return Path(record.source_id or "")
