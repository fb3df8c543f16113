"""`Predecessors`: what a folder's records were before, under whatever id."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import suppress

from unisem.captions import is_of_no_file
from unisem.errors import CorruptStoreError
from unisem.ingest.by_hand import added_to
from unisem.ingest.likeness import content_of, whole_content_of
from unisem.ingest.unsettled import caption_waiting_in, waiting_in
from unisem.readers.base import Reader
from unisem.records import Record, Vector, VectorKind
from unisem.stores import Store

_KEPT = 20_000  # records that have been replaced whose vectors are kept

Vectors = dict[VectorKind, Vector]


class Predecessors:
    """What a reader's records were before, while a run goes on; threads may ask.

    A file that was renamed or moved, or has changed its name with another, is embedded already: its
    vectors are found here by its content. Whose it was is known at the end, see
    `unisem.ingest.moves`.

    Args:
        store: Keeps the records.
        reader: Knows which of them are its own.
    """

    def __init__(self, store: Store, reader: Reader) -> None:
        self._store = store
        self._reader = reader
        self._lock = threading.Lock()
        self._ids: dict[bytes, str | list[str]] | None = None  # read when first asked for
        self._let_go: OrderedDict[bytes, tuple[Record, Vectors]] = OrderedDict()
        self.replaced: dict[str, Record] = {}
        """The stored records in whose place there is another content now, by id."""
        self.looks: dict[str, str] = {}
        """How pictures look whose vectors were found, by digest: they are not decoded again."""
        self.captions: dict[str, Vectors] = {}
        """The vectors of their captions, of those whose caption no file has; fused ones, too."""

    def knows(self, record: Record) -> bool:
        """Whether some record has, or had, the content of this new one."""
        content = content_of(record)
        known = content in self._by_content()
        with self._lock:
            return known or content in self._let_go

    def caption(self, old: Record) -> Vectors:
        """A stored picture's vectors of a caption that no file has; fused ones, too."""
        if not is_of_no_file(old):
            return {}
        return of_caption(self._store.vectors([old.id])[0] or {})

    def recover(self, record: Record) -> None:
        """Learn from a stored record what was in its place before."""
        old, caption = waiting_in(record), caption_waiting_in(record)
        if old is None:
            return
        if len(self.replaced) < _KEPT or added_to(old) or old.links:
            self.replaced[old.id] = old
        if caption:
            self.captions[old.id] = caption

    def replace(self, old: Record) -> None:
        """Remember a record that is about to be replaced by one with another content."""
        known: Vectors | None = None
        with suppress(CorruptStoreError):  # which is what may be replaced for
            known = self._store.vectors([old.id])[0]
        if known is not None:
            self.remember([(old, known)])
            if is_of_no_file(old) and "text" in known:
                self.captions[old.id] = of_caption(known)
        if len(self.replaced) < _KEPT or added_to(old):
            self.replaced[old.id] = old

    def remember(self, known: Iterable[tuple[Record, Vectors]]) -> None:
        """Keep the vectors of records that are about to be replaced or removed."""
        with self._lock:
            for record, vectors in known:
                self._let_go[content_of(record)] = record, vectors
            while len(self._let_go) > _KEPT:
                self._let_go.popitem(last=False)

    def vectors(self, record: Record) -> Vectors | None:
        """The vectors that are stored, or were, for the same text and picture.

        Of a picture whose words were others, that of the picture.

        Args:
            record: A new record, or a changed one; its picture inspected.
        """
        best: Vectors | None = None
        for found, vectors in self._alike(content_of(record)):
            image = found.image
            if image is not None and image.sha256 is not None and image.look is not None:
                self.looks[image.sha256] = image.look
            if whole_content_of(found) == whole_content_of(record):
                return vectors
            if "image" in vectors:
                best = {"image": vectors["image"]}
        return best

    def _alike(self, content: bytes) -> Iterator[tuple[Record, Vectors]]:
        """Records of this content with their vectors: stored ones, and one that was."""
        ids = self._by_content().get(content, [])
        for name in [ids] if isinstance(ids, str) else ids:
            with suppress(CorruptStoreError):
                found, vectors = self._store.get([name])[0], self._store.vectors([name])[0]
                # It may be replaced just now: what is the same afterwards belongs together.
                if found is None or vectors is None or self._store.get([name])[0] != found:
                    continue
                if content_of(found) == content:
                    yield found, vectors
        with self._lock:
            let_go = self._let_go.get(content)
        if let_go is not None:
            yield let_go

    def _by_content(self) -> dict[bytes, str | list[str]]:
        """The ids of the reader's records, as they are when it is first asked for, by content."""
        with self._lock:
            if self._ids is None:
                self._ids = {}
                with suppress(
                    CorruptStoreError
                ):  # what is embedded anew may replace what is damaged
                    for record in self._store.select() if len(self._store) else ():
                        if self._reader.knows(record):
                            noted(self._ids, content_of(record), record.id)
            return self._ids


def of_caption(vectors: Vectors) -> Vectors:
    """Those of a picture's vectors that depend on its caption."""
    return {kind: rows for kind, rows in vectors.items() if kind != "image"}


def noted(ids: dict[bytes, str | list[str]], content: bytes, name: str) -> None:
    """Add an id to those of a content; most have one only."""
    there = ids.get(content)
    if there is None:
        ids[content] = name
    elif isinstance(there, list):
        there.append(name)
    else:
        ids[content] = [there, name]
