"""`Document`: a file that becomes many records, of which it is known whether they are all there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from unisem.common.skipped import Skipped
from unisem.errors import DocumentError, ImageError
from unisem.images.reference import ImageRef
from unisem.images.region import digest_of
from unisem.readers.chunks import ReadsWhole, everything
from unisem.readers.documents.assembly import assemble
from unisem.readers.documents.elements import START, Element, Format, Source, every_file
from unisem.readers.documents.scans import with_words
from unisem.recognition.recognizer_run import RecognizerRun
from unisem.records import Record

_READ_AS, _WORDS_READ_BY = "read_as", "words_read_by"  # keys of a mark
_CUT = 2
"""To be raised when the same elements give other passages."""


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A document that can be read.

    Attributes:
        format: Its format.
        source: Where it is from.
        name: What the ids of its records begin with.
        source_id: As of its records.
        file_name: As of its records' metadata.
        chunk_size: Characters that a passage may have.
        reads_whole: As of `assemble`.
        recognizer: Reads the words on scanned pages.
    """

    format: Format
    source: Source
    name: str
    source_id: str
    file_name: str
    chunk_size: int = 1000
    reads_whole: ReadsWhole = everything
    recognizer: RecognizerRun | None = None

    def read(self) -> bytes:
        """The file's bytes, as safely as a picture's.

        Raises:
            DocumentError: It cannot be read.
        """
        try:
            return ImageRef(path=self.source.path, root=self.source.root).read_bytes()
        except ImageError as error:
            raise DocumentError(f"{error.name}: {error.reason}") from error

    def is_of_format(self) -> bool:
        """Whether the file's beginning says that it is of the format; one that is damaged may be.

        Only where others use the format's suffixes, too, is it opened.
        """
        if self.format.recognizes is every_file:
            return True
        try:
            file = ImageRef(path=self.source.path, root=self.source.root)
            is_whole = self.format.recognized_by_all
            start = file.read_bytes() if is_whole else file.read_start(START)
        except ImageError:
            return False
        return self.format.recognizes(start)

    def mark(self, data: bytes) -> dict[str, Any]:
        """What one record of the document says when these bytes have been read to the end."""
        return self.mark_of(digest_of(data))

    def mark_of(self, digest: str) -> dict[str, Any]:
        """As `mark`, of bytes with this SHA-256 in hex."""
        how = f"{self.format.name}/{self.format.version}/{_CUT}/{self.chunk_size}"
        if self.format.has_places and not self.source.places:
            how += "/no places"
        mark = {"sha256": digest, _READ_AS: how}
        if self.recognizer is not None and self.format.has_scans:
            mark[_WORDS_READ_BY] = self.recognizer.recognizer.fingerprint
        return mark

    def is_read(self, mark: Mapping[str, Any], stored: object) -> bool:
        """Whether a record with this mark says that the document was read to its end as it is now.

        Without a recogniser, what one has read is kept.
        """
        if not isinstance(stored, Mapping):
            return False
        return all(stored.get(name) == value for name, value in mark.items())

    def records(
        self, data: bytes, *, on_page: Callable[[], None] | None = None
    ) -> Iterator[Record | Skipped]:
        """Read the document; its records come when all of it has been read.

        If something failed that another try may do better, the mark that they bear says less than
        `mark` does, so that the document is read again.

        Args:
            data: Its bytes.
            on_page: Called whenever another page begins.

        Raises:
            DocumentError: Nothing of it can be read.
            RecognizerError: The recogniser has failed on 16 pictures running.
        """
        mark = self.mark(data)
        return assemble(
            self._elements(data, mark, on_page),
            name=self.name,
            source_id=self.source_id,
            file_name=self.file_name,
            mark=mark,
            chunk_size=self.chunk_size,
            reads_whole=self.reads_whole,
        )

    def _elements(
        self, data: bytes, mark: dict[str, Any], on_page: Callable[[], None] | None
    ) -> Iterator[Element | Skipped]:
        """The elements, regions knowing which document they are of; the mark loses what failed."""
        page: int | None = None
        try:
            elements = _telling(self.format.elements(data, self.source), mark, _READ_AS)
            if self.recognizer is not None and self.format.has_scans:
                elements = with_words(elements, data, self.source, self.recognizer)
                elements = _telling(elements, mark, _WORDS_READ_BY)
            for element in elements:
                if isinstance(element, Element):
                    if element.page != page and on_page is not None:
                        on_page()
                    page = element.page
                    image = element.image
                    if isinstance(image, ImageRef) and image.region is not None:
                        region = replace(image.region, document=mark["sha256"])
                        element = replace(element, image=replace(image, region=region))
                yield element
        except ImportError as error:  # without the extra, other files are read all the same
            raise DocumentError(f"{self.source.path}: {error}") from error


def _telling(
    elements: Iterable[Element | Skipped], mark: dict[str, Any], name: str
) -> Iterator[Element | Skipped]:
    """The elements; the mark loses a name if some of them are to be tried again."""
    for element in elements:
        if isinstance(element, Skipped) and element.again:
            mark.pop(name, None)
        yield element


def without_end(mark: Mapping[str, Any]) -> dict[str, Any]:
    """A mark that says which bytes were read, and not that they were read to their end."""
    return {name: value for name, value in mark.items() if name != _READ_AS}


def records_of(items: Iterable[Record | Skipped | Document]) -> Iterator[Record | Skipped]:
    """What a reader yields, documents as their records; one that cannot be read is skipped."""
    for item in items:
        if isinstance(item, Document):
            try:
                yield from item.records(item.read())
            except DocumentError as error:
                yield Skipped(str(item.source.path), str(error))
        else:
            yield item
