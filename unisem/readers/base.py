"""`Reader`: what yields records from files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping

from unisem.common.skipped import Skipped
from unisem.readers.documents.document import Document
from unisem.records import Record


class Reader(ABC):
    """Yields records, and a `Skipped` for each input that cannot become one.

    Pictures are referred to, not opened; a damaged one is found when it is encoded. A document is
    yielded unread, so that whoever has all its records already need not read it.
    """

    @abstractmethod
    def __iter__(self) -> Iterator[Record | Skipped | Document]:
        """Yield in a fixed order, records of one source next to each other."""

    def __len__(self) -> int:
        """How many files there are to read, for a progress bar."""
        return 0

    @property
    def ignored(self) -> Mapping[str, int]:
        """How many files there are of each kind that nothing reads, by suffix (``.mov``)."""
        return {}

    @property
    def left_out(self) -> Mapping[str, int]:
        """How many files and folders were passed over unseen, by what tells them (``.git``)."""
        return {}

    def described(self, record: Record, data: bytes) -> Record:
        """Give a record that came from here what its picture's file knows of it.

        Asked in a thread, once the file has been read; it raises nothing.

        Args:
            record: The record, its picture inspected.
            data: The bytes of the picture's file.
        """
        del data
        return record

    def unread(self) -> list[Skipped]:
        """What is `ignored`, one entry for each kind."""
        return [
            Skipped(f"*{kind}", f"{count:,} of this kind, which is not read")
            for kind, count in self.ignored.items()
        ]

    def knows(self, record: Record) -> bool:
        """Whether a space's record came from here, by whatever name its file, or this folder, had.

        Its vectors are used again for a file of the same content.
        """
        del record
        return False

    def folder_before(self, record: Record) -> str | None:
        """The name of a folder that is there no more, if a record came from that, not from here."""
        del record
        return None

    def look(self, item: Record | Document) -> bytes | None:
        """What tells without reading it that a file is as it was; ``None`` if nothing does.

        Args:
            item: As it was yielded.
        """
        del item
        return None

    def gone(self, stored: Iterable[Record]) -> Iterator[Record]:
        """Yield those of a space's records that came from here and whose file is there no more.

        And those of which there is a `folder_before`.
        """
        del stored
        return iter(())

    def is_deleted(self, record_id: str) -> bool:
        """Whether it is plain that the file of a record that is `gone` was deleted.

        Not if it is there and left out, nor if its folder is missing or empty: that may be a drive
        that is not mounted.
        """
        del record_id
        return True
