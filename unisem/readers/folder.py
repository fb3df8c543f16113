"""`FolderReader`: a folder of pictures with captions, of texts, and of documents."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from unisem.common.lazy_property import lazy_property
from unisem.common.skipped import Skipped
from unisem.errors import DocumentError, RecordError
from unisem.images.reference import ImageRef
from unisem.readers.base import Reader
from unisem.readers.captions import (
    METADATA_FILES,
    Description,
    read_metadata,
    read_sidecar,
)
from unisem.readers.chunks import ReadsWhole, chunk_text, everything
from unisem.readers.companions import VIDEO, Find, among, caption_of, film_of, xmp_of
from unisem.readers.describing import described
from unisem.readers.documents.document import Document
from unisem.readers.documents.elements import Source, no_links
from unisem.readers.documents.formats import FORMATS
from unisem.readers.looks import look_at
from unisem.readers.presence import FolderPresence
from unisem.readers.texts import read_text
from unisem.readers.walking import FileChoice, Walk, walked
from unisem.recognition import TextRecognizer, load_recognizer
from unisem.recognition.recognizer_run import RecognizerRun
from unisem.records import Record

_OF_CAMERAS = {".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf"}
PICTURES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp"),
    *(".tif", ".tiff", ".heic", ".heif", ".hif", ".avif", ".jxl", ".svg"),
    *_OF_CAMERAS,
}
TEXTS = {".txt"}


class FolderReader(Reader):
    """Records of a folder's pictures, texts and documents, subfolders included, in sorted order.

    Ids are the folder's name and the path inside it, ``photos/cats/tom.jpg``; a text that needs
    several chunks gives ``photos/about.txt#1``, ``#2`` …, linked as ``previous`` and ``next``.
    Metadata are the columns of the metadata file, ``file_name`` and, before them, what the
    picture's file knows (`described`). See `unisem.readers.captions` for captions.

    A document (see `unisem.readers.documents.formats`) is yielded unread; pictures that it links to
    are its figures and not also read for themselves.

    Passed over are other spaces, and what is hidden or kept by systems and tools (``@eaDir``,
    ``node_modules`` …, see `unisem.readers.walking`), which is counted in `left_out`. What cannot
    be read, links to other folders among it, is yielded as `Skipped`; files of
    kinds that nothing reads are counted in `ignored`. What belongs to a picture
    (`unisem.readers.companions`) is neither.

    Args:
        folder: The folder.
        chunk_size: Characters a text chunk may have.
        locate: Names a file in ``Record.source_id``; its absolute path by default.
        reads_whole: The `Encoder.reads_whole` of the encoder that is to read them: no chunk has
            more tokens than that reads.
        documents: Whether documents are read, or passed over like files of other kinds.
        location: Whether the place where a picture was taken becomes metadata.
        recognizer: Reads the words on scanned pages of documents; as of `load_recognizer`.
        exclude: Patterns of files and folders that are left out, too; see `FileChoice`.
        include: Patterns of what is taken in although it is usually left out; likewise.

    Raises:
        NotADirectoryError: There is no such folder.
        ValueError: A pattern is none.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        chunk_size: int = 1000,
        locate: Callable[[Path], str] = lambda path: Path(os.path.realpath(path)).as_posix(),
        reads_whole: ReadsWhole = everything,
        documents: bool = True,
        location: bool = True,
        recognizer: str | TextRecognizer | None = None,
        exclude: Sequence[str] = (),
        include: Sequence[str] = (),
    ) -> None:
        self._choice = FileChoice(exclude, include)
        self.folder = Path(os.path.realpath(folder))
        if not self.folder.is_dir():
            raise NotADirectoryError(f"{folder} is not a folder")
        self._chunk_size = chunk_size
        self._formats = FORMATS if documents else {}
        self._reads_whole = reads_whole
        self._location = location
        self._locate = locate
        self.recognizer = None if recognizer is None else load_recognizer(recognizer)
        self._reading = None if self.recognizer is None else RecognizerRun(self.recognizer)
        self._empty: set[Path] = set()  # texts without words, as far as they have been read
        self._tables: dict[Path, tuple[tuple[int, int], dict[Path, Description]]] = {}

    def __len__(self) -> int:
        return sum(
            path.suffix.lower() in PICTURES | TEXTS or path in self._documents
            for path in self._files
        )

    def __iter__(self) -> Iterator[Record | Skipped | Document]:
        yield from self._walked.closed
        described: dict[Path, Description] = {}
        for path in self._files:
            if path.name in METADATA_FILES:
                yield from self._describe(path, described)
        captions = self._captions
        figures = self._figures
        for path in self._files:
            suffix = path.suffix.lower()
            if path in self._documents:
                yield from self._document(self._documents[path])
            elif suffix in PICTURES:
                if path not in figures:
                    sidecar, film = caption_of(path, self._find), film_of(path, self._find)
                    yield from self._picture(path, described.get(path), sidecar, film)
            elif suffix in TEXTS and path not in captions:
                yield from self._text(path)

    def within(self, path: str | os.PathLike[str]) -> Path:
        """A file's path as this reader finds it: in its real folder; the file may be a link.

        Raises:
            ValueError: It is not in the folder.
        """
        parent, name = os.path.split(os.path.abspath(path))
        found = Path(os.path.realpath(parent), name)
        if not found.is_relative_to(self.folder):
            raise ValueError(f"{found} is not in the reader's folder, {self.folder}")
        return found

    def read_one(self, path: str | os.PathLike[str]) -> Iterator[Record | Skipped | Document]:
        """Read one picture, text or document, as it is read with the whole folder.

        Of the other files only those are looked at that may say something of it: text files
        beside it, and metadata files, which are read again when they have changed.

        Args:
            path: The file; one that is neither picture nor document is read as a text.

        Raises:
            ValueError: As `within`.
        """
        path = self.within(path)
        if (document := self._document_at(path)) is not None:
            yield from self._document(document)
            return
        if path.suffix.lower() not in PICTURES:
            yield from self._text(path)
            return
        description = None
        folders = [folder for folder in path.parents if folder.is_relative_to(self.folder)]
        for table in (folder / name for folder in folders[::-1] for name in sorted(METADATA_FILES)):
            yield from self._look_up(table)
            if (known := self._tables.get(table)) and (description := known[1].get(path)):
                break
        yield from self._picture(path, description, caption_of(path), film_of(path))

    def described(self, record: Record, data: bytes) -> Record:
        """See `Reader.described`: size, `FileFacts`, and their words if it has no caption."""
        name = record.metadata.get("file_name")
        if record.image is None or record.id != f"{self.folder.name}/{name}":  # of a document
            return record
        return described(record, data, self.folder / str(name), location=self._location)

    @property
    def ignored(self) -> Mapping[str, int]:
        read = PICTURES | TEXTS
        others = (
            path
            for path in self._files
            if path.name not in METADATA_FILES
            and path not in self._documents
            and path not in self._companions
        )
        kinds = Counter(path.suffix.lower() for path in others)
        return {kind: kinds[kind] for kind in sorted(kinds) if kind not in read}

    @property
    def left_out(self) -> Mapping[str, int]:
        return dict(sorted(self._walked.left_out.items()))

    def look(self, item: Record | Document) -> bytes | None:
        """See `Reader.look`."""
        if isinstance(item, Document):
            return look_at([item.source.path], item.chunk_size)
        if item.image is None or item.image.path is None or item.image.region is not None:
            return None
        path = item.image.path
        said = item.text, item.metadata, item.source_id, str(path), self._location
        return look_at([path, xmp_of(path, self._find)], *said)

    def knows(self, record: Record) -> bool:
        """See `Reader.knows`."""
        return self._presence.is_of(record) or self._presence.folder_before(record) is not None

    def folder_before(self, record: Record) -> str | None:
        """See `Reader.folder_before`."""
        return self._presence.folder_before(record)

    def gone(self, stored: Iterable[Record]) -> Iterator[Record]:
        presence = self._presence
        for record in stored:
            if presence.is_of(record):
                name = record.id.removeprefix(f"{self.folder.name}/")
                is_part = record.image is None or "kind" in record.metadata
                whole = name.rpartition("#")[0] if is_part else ""
                places = [self.folder / path for path in (name, whole) if path]
                others = self._figures if record.image is not None else self._captions
                passed_over = self._empty | others
                if not any(presence.has(path) and path not in passed_over for path in places):
                    yield record
            elif presence.folder_before(record) is not None:
                yield record

    def is_deleted(self, record_id: str) -> bool:
        """See `Reader.is_deleted`."""
        name = record_id.removeprefix(f"{self.folder.name}/")
        names = [it for it in (name, name.rpartition("#")[0]) if it]
        return all(self._presence.is_deleted(self.folder / it) for it in names)

    @lazy_property
    def _presence(self) -> FolderPresence:
        return FolderPresence(self.folder, self._files, self._choice, self._locate)

    @property
    def _files(self) -> list[Path]:
        return self._walked.files

    @lazy_property
    def _walked(self) -> Walk:
        return walked(self.folder, self._choice)

    @lazy_property
    def _known(self) -> set[Path]:
        return set(self._files)

    def _is_picture(self, path: Path) -> bool:
        return path.suffix.lower() in PICTURES and path not in self._documents

    @lazy_property
    def _find(self) -> Find:
        return among(self._files)

    @lazy_property
    def _captions(self) -> set[Path]:
        """The text files that are captions."""
        pictures = (path for path in self._files if self._is_picture(path))
        sidecars = (caption_of(picture, self._find) for picture in pictures)
        return {path for path in sidecars if path is not None}

    @lazy_property
    def _companions(self) -> set[Path]:
        """Films and sidecars that belong to a picture."""
        pictures = [path for path in self._files if self._is_picture(path)]
        found = (of(path, self._find) for path in pictures for of in (film_of, xmp_of))
        return {path for path in found if path is not None}

    @lazy_property
    def _figures(self) -> set[Path]:
        """The pictures that documents link to."""
        found: set[Path] = set()
        for document in self._documents.values():
            if _name_fault(document.name) or document.format.links is no_links:
                continue
            try:
                links = list(document.format.links(document.read()))
            except DocumentError:  # which is told when its records are wanted
                continue
            places = map(document.source.beside, links)
            found.update(place for place in places if place in self._known)
        return found

    @lazy_property
    def _documents(self) -> dict[Path, Document]:
        found = ((path, self._document_at(path)) for path in self._files)
        return {path: document for path, document in found if document is not None}

    def _document_at(self, path: Path) -> Document | None:
        """The document that a file is, by its suffix and, where others use that, too, its start."""
        form = self._formats.get(path.suffix.lower())
        if form is None:
            return None
        name = path.relative_to(self.folder).as_posix()
        document = Document(
            form,
            Source(path, self.folder, self._location),
            name=f"{self.folder.name}/{name}",
            source_id=self._locate(path),
            file_name=name,
            chunk_size=self._chunk_size,
            reads_whole=self._reads_whole,
            recognizer=self._reading,
        )
        return document if document.is_of_format() else None

    def _document(self, document: Document) -> Iterator[Skipped | Document]:
        if fault := _name_fault(document.name):
            yield Skipped(str(document.source.path), fault)
        else:
            yield document

    def _describe(self, path: Path, described: dict[Path, Description]) -> Iterator[Skipped]:
        for entry in read_metadata(path, self.folder):
            if isinstance(entry, Skipped):
                yield entry
                continue
            name, description = entry
            picture = Path(os.path.normpath(path.parent / name))
            if not picture.is_relative_to(self.folder):
                yield Skipped(f"{path}: {name}", "leads outside the folder")
            elif picture not in self._known:
                yield Skipped(f"{path}: {name}", "is listed but does not exist")
            elif picture in described:
                yield Skipped(f"{path}: {name}", "is described twice; the first line counts")
            else:
                described[picture] = description

    def _look_up(self, table: Path) -> Iterator[Skipped]:
        """Keep what a metadata file says, as long as it does not change."""
        try:
            status = table.stat()
        except OSError:
            self._tables.pop(table, None)
            return
        version = (status.st_mtime_ns, status.st_size)
        if table in self._tables and self._tables[table][0] == version:
            return
        lines: dict[Path, Description] = {}
        self._tables[table] = version, lines
        for entry in read_metadata(table, self.folder):
            if isinstance(entry, Skipped):
                yield entry
            else:
                lines.setdefault(Path(os.path.normpath(table.parent / entry[0])), entry[1])

    def _picture(
        self,
        path: Path,
        description: Description | None,
        sidecar: Path | None,
        film: Path | None,
    ) -> Iterator[Record | Skipped]:
        name = path.relative_to(self.folder).as_posix()
        if fault := _name_fault(f"{self.folder.name}/{name}"):
            yield Skipped(str(path), fault)
            return
        description = description or Description(None)
        beside = read_sidecar(sidecar, self.folder)
        if isinstance(beside, Skipped):
            yield beside
            beside = None
        elif beside and description.caption and beside != description.caption.strip():
            yield Skipped(str(sidecar), "is not used: a metadata file gives its picture's caption")
        metadata = {"file_name": name}
        if film is not None and not _name_fault(film.name):
            metadata[VIDEO] = film.relative_to(self.folder).as_posix()
        try:
            yield Record(
                id=f"{self.folder.name}/{name}",
                text=description.caption or beside,
                image=ImageRef(path=path, root=self.folder),
                metadata=metadata | description.metadata,
                source_id=self._locate(path),
            )
        except RecordError as error:
            yield Skipped(str(path), str(error))

    def _text(self, path: Path) -> Iterator[Record | Skipped]:
        name = path.relative_to(self.folder).as_posix()
        base = f"{self.folder.name}/{name}"
        try:
            if fault := _name_fault(base):
                raise ValueError(fault)
            text = read_text(path, self.folder)
        except ValueError as error:
            yield Skipped(str(path), str(error))
            return
        chunks = chunk_text(text, self._chunk_size, reads_whole=self._reads_whole)
        if not chunks:
            self._empty.add(path)
            yield Skipped(str(path), "is empty")
        ids = [f"{base}#{n}" for n in range(1, len(chunks) + 1)] if len(chunks) > 1 else [base]
        for position, chunk in enumerate(chunks):
            links: dict[str, str] = {}
            if position > 0:
                links["previous"] = ids[position - 1]
            if position + 1 < len(ids):
                links["next"] = ids[position + 1]
            yield Record(
                id=ids[position],
                text=chunk,
                metadata={"file_name": name},
                source_id=self._locate(path),
                links=links,
            )


def _name_fault(name: str) -> str | None:
    """Why a file's name cannot be an id."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "has a name that is not Unicode, as old disks and archives have; rename it"
    return None
