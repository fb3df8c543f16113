"""`Whereabouts`: which ids have which content at the end of a run."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import PurePosixPath

from unisem.ingest.likeness import content_of, digest_of_document, mark_of
from unisem.ingest.predecessors import noted
from unisem.records import Record
from unisem.stores import Store

_AT_ONCE = 256  # records that are looked up at once


class Whereabouts:
    """Which ids have which content, and which of them have it since this run.

    What has left its place is found only where its content has come to: a copy that was there
    before is another record.

    Args:
        store: Keeps the records.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ids: dict[bytes, str | list[str]] = {}
        self.fresh: set[str] = set()
        """Ids that are new, or have another content than before."""

    def note(self, record: Record) -> None:
        """A record is here."""
        noted(self._ids, content_of(record), record.id)

    def copies(self, record: Record) -> list[str]:
        """All ids that have a record's content."""
        found = self._ids.get(content_of(record), [])
        return [found] if isinstance(found, str) else found

    def of(self, record: Record) -> str | None:
        """Which other id a record's content has come to, if to any."""
        names = [it for it in self.copies(record) if it in self.fresh and it != record.id]
        return _most_alike(record, names)

    def copy_of(self, record: Record) -> str | None:
        """Which id has a record's content, whether or not it had before."""
        return _most_alike(record, self.copies(record))

    def of_lost(self, lost: Iterable[Record], documents: Collection[str]) -> dict[str, str]:
        """Where the contents of records without files have come to, by id.

        Passages may stand in several texts: they have moved with the whole of their own.

        Args:
            lost: The records, all that there are of each text and document.
            documents: The digests of the documents that are here.
        """
        lost = list(lost)
        marks = {it.source_id: digest_of_document(it) for it in lost if mark_of(it) is not None}
        names: dict[str, list[str]] = {}
        for record in lost:
            mark = marks.get(record.source_id)
            if mark is None or mark in documents:
                names[record.id] = [it for it in self.copies(record) if it in self.fresh]
        texts = [it for it in lost if it.image is None and it.source_id not in marks]
        self._with_whole_texts(texts, names)
        moved: dict[str, str] = {}
        assigned: set[str] = set()
        for record in lost:
            name = _most_alike(record, names.get(record.id, ()), assigned)
            if name is not None:
                moved[record.id] = name
                assigned.add(name)
        return moved

    def _with_whole_texts(self, texts: Iterable[Record], names: dict[str, list[str]]) -> None:
        """Keep, of the places of each text's passages, those in one text that has them all."""
        by_source: dict[str | None, list[Record]] = {}
        for record in texts:
            by_source.setdefault(record.source_id, []).append(record)
        wanted = sorted({it for some in by_source.values() for r in some for it in names[r.id]})
        sources: dict[str, str | None] = {}
        for start in range(0, len(wanted), _AT_ONCE):
            found = self._store.get(wanted[start : start + _AT_ONCE])
            sources |= {it.id: it.source_id for it in found if it is not None}
        taken: set[str | None] = set()
        for some in by_source.values():
            places = ({sources.get(it) for it in names[record.id]} for record in some)
            whole = set.intersection(*places) - {None}
            chosen = min(whole, key=lambda it: (it in taken, str(it)), default=None)
            taken.add(chosen)
            for record in some:
                names[record.id] = [
                    it for it in names[record.id] if chosen is not None and sources[it] == chosen
                ]


def _most_alike(
    record: Record, names: Collection[str], assigned: Collection[str] = ()
) -> str | None:
    """Of several ids, one that is free and is called alike."""
    path, _, part = record.id.partition("#")
    old = PurePosixPath(path)

    def likeness(other: str) -> tuple[bool, ...]:
        path, _, its_part = other.partition("#")
        new = PurePosixPath(path)
        alike = new.suffix == old.suffix, its_part == part, new.name == old.name
        return other not in assigned, *alike

    return max(names, key=likeness, default=None)
