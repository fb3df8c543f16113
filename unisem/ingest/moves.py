"""`Moves`: what was added by hand follows its content, when files have changed their names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from unisem.captions import keeping_caption
from unisem.errors import StoreError
from unisem.ingest.by_hand import keeping_added
from unisem.ingest.likeness import content_of
from unisem.ingest.predecessors import Vectors, of_caption
from unisem.ingest.unsettled import is_unsettled, settled
from unisem.recognition.words import is_read, still_words, words_again, words_of
from unisem.records import EmbeddedRecord, Record
from unisem.stores import Store
from unisem.stores.selection import Selection

_TOGETHER = 256  # records that are written at once


class Moves:
    """Records whose content is to be found under other ids now.

    What a person has added to them goes along: metadata, links, captions that no file has, the
    words that were read in a picture, and what the graph says of them. What was in the place of
    another waits there, see `unisem.ingest.unsettled`, and is let go last, after the old ids: an
    interruption loses nothing, and the next run does the rest. (Between the graph's step and the
    last one, it may have the graph's share of two that changed places change places again.)

    Args:
        store: Keeps the records.
        gone: Those whose files are there no more, and which id has their content.
        replaced: All in whose place there is another content, by id.
        elsewhere: Which id has the content of those.
        captions: Vectors of the captions of those in `replaced`, by id.
        unsettled: All in which something waits, or that are new.
    """

    def __init__(
        self,
        store: Store,
        gone: Sequence[tuple[Record, str]],
        replaced: Mapping[str, Record],
        elsewhere: Mapping[str, str],
        captions: Mapping[str, Vectors],
        unsettled: Collection[str],
    ) -> None:
        self._store = store
        self._gone = gone
        self._replaced = replaced
        self._elsewhere = elsewhere
        self._captions = captions
        self._unsettled = unsettled
        self.ids = {record.id: name for record, name in gone} | dict(elsewhere)
        """What each old id is now."""

    def settle(self, inherited: Sequence[tuple[Record, str]] = ()) -> None:
        """Give each content what is its own, wherever it is now, and let the old ids go.

        Args:
            inherited: Records that are about to be removed, and a copy that has what they had.
        """
        if not self.ids and not self._unsettled and not inherited:
            return
        givers: dict[str, list[Record]] = {}
        for old, name in (*self._gone, *inherited):
            givers.setdefault(name, []).append(old)
        for name, to in self._elsewhere.items():
            givers.setdefault(to, []).append(self._replaced[name])
        words = {
            old.id: self._words(old) for some in givers.values() for old in some if is_read(old)
        }  # all of them before any is written: files may have changed places
        renamed = dict(self.ids) | {old.id: name for old, name in inherited}
        forgotten = [name for name in givers if name in self._replaced]
        for name in self._unsettled:  # what was added to a file stays there when it is edited
            if name in self._replaced and name not in self._elsewhere and name not in givers:
                givers[name] = [self._replaced[name]]
        self._write(
            self._given(record, vectors, givers[record.id], words, renamed)
            for record, vectors in self._stored(givers)
        )
        try:
            graph = self._store.graph
        except StoreError:  # this store keeps none
            pass
        else:
            graph.rename(renamed, forgotten)
        if self._gone:
            self._lead_links({old.id: name for old, name in self._gone})
            self._store.delete(Selection(ids=tuple(old.id for old, _ in self._gone)))
        self._write(
            [EmbeddedRecord(settled(record), vectors)]
            for record, vectors in self._stored(self._unsettled)
            if is_unsettled(record)
        )

    def _stored(self, names: Collection[str]) -> Iterator[tuple[Record, Vectors]]:
        ids = sorted(names)
        for start in range(0, len(ids), _TOGETHER):
            some = ids[start : start + _TOGETHER]
            stored = zip(self._store.get(some), self._store.vectors(some), strict=True)
            for record, vectors in stored:
                if record is not None and vectors is not None:
                    yield record, vectors

    def _lead_links(self, renamed: Mapping[str, str]) -> None:
        """Have the links of others lead to the new ids of what is called otherwise now."""
        leading = [
            it.id
            for it in self._store.select()
            if it.id not in renamed and not renamed.keys().isdisjoint(it.links.values())
        ]
        self._write(
            [EmbeddedRecord(replace(record, links=_led(record.links, renamed)), vectors)]
            for record, vectors in self._stored(leading)
        )

    def _write(self, changed: Iterable[list[EmbeddedRecord]]) -> None:
        items: list[EmbeddedRecord] = []
        for some in changed:
            items += some
            if len(items) >= _TOGETHER:
                self._store.add(items)
                items = []
        self._store.add(items)

    def _given(
        self,
        record: Record,
        vectors: Vectors,
        givers: Sequence[Record],
        words: Mapping[str, list[EmbeddedRecord]],
        renamed: dict[str, str],
    ) -> list[EmbeddedRecord]:
        """A record with what belongs to its content, and the words that were read in it."""
        new, own = record, dict(vectors)
        found: list[EmbeddedRecord] = []
        for old in givers:
            captioned = keeping_caption(old, keeping_added(old, new))
            if captioned.text != new.text:
                caption = self._caption(old)  # of the same picture, so its fused vector as well
                if "text" not in caption:
                    captioned = keeping_added(old, new)
                else:
                    own = {kind: rows for kind, rows in own.items() if kind == "image"} | caption
            new = captioned
            if is_read(old) and not is_read(new) and content_of(old) == content_of(new):
                new, again = words_again(new, old, [it.record for it in words[old.id]])
                found = [
                    EmbeddedRecord(word, it.vectors)
                    for word, it in zip(again, words[old.id], strict=True)
                ]
                renamed |= {
                    it.record.id: word.id for word, it in zip(again, words[old.id], strict=True)
                }
        if new == record and not found:
            return []
        return [*found, EmbeddedRecord(new, own)]

    def _words(self, old: Record) -> list[EmbeddedRecord]:
        there = [it for it in self._store.get(words_of(old)) if it is not None]
        own = still_words(old, there)
        vectors = self._store.vectors([it.id for it in own])
        return [EmbeddedRecord(it, rows) for it, rows in zip(own, vectors, strict=True) if rows]

    def _caption(self, old: Record) -> Vectors:
        """The vectors of a caption that no file has."""
        if old.id in self._captions:
            return self._captions[old.id]
        if old.id in self._replaced:
            return {}
        return of_caption(self._store.vectors([old.id])[0] or {})


def _led(links: Mapping[str, str], renamed: Mapping[str, str]) -> dict[str, str]:
    return {name: renamed.get(to, to) for name, to in links.items()}
