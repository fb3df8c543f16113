"""`with_neighbors`: hits among the records that come before and after them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from unisem.records import Record
from unisem.stores import Store
from unisem.stores.hits import Hit
from unisem.stores.selection import Selection

_BEFORE = ("mentioned_by", "words")  # links from a picture to texts
_AFTER = ("figure", "image")  # links from a text to pictures


def with_neighbors(
    store: Store, hits: Sequence[Hit], count: int, selection: Selection
) -> list[Hit]:
    """Put around each hit the records that its links lead to, in the order of the document.

    A figure comes with the passages that speak of it, which stand before it, and a passage with
    the figures and tables that it speaks of, which stand after it; likewise words that were read in
    a picture, and the picture.

    Args:
        store: Where the records are.
        hits: Best first.
        count: How many links are followed from each hit, ``"previous"`` and ``"next"`` each.
        selection: What a neighbour must meet but for the modality, as a text's picture belongs
            to it; a chain ends at a record that does not.

    Returns:
        Passages, in the order of their best hits; inside one, the document's order. Passages that
        share a record are one, and no record comes twice. A hit keeps its score; a neighbour has
        the score of the best hit that it belongs to, so that a cutoff keeps or drops both.
    """
    if not count:
        return list(hits)
    found = _Records(store, selection, {hit.record.id: hit.record for hit in hits})
    windows = _windows(found, [hit.record for hit in hits], count)
    inherited: dict[str, float] = {}
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for hit, window in zip(hits, windows, strict=True):
        for record_id in window:
            inherited[record_id] = max(hit.score, inherited.get(record_id, hit.score))
        for first, second in pairwise(window):
            after.setdefault(first, second)
            before.setdefault(second, first)
    known = {hit.record.id: hit for hit in hits}
    ordered = _in_document_order(list(known), before, after)
    return [
        known.get(record_id)
        or Hit(found[record_id], inherited[record_id], found[record_id].modality)
        for record_id in ordered
    ]


@dataclass
class _Records:
    """Records by id, each looked up once; all that a step needs in one look."""

    store: Store
    selection: Selection
    known: dict[str, Record]
    absent: set[str] = field(default_factory=set)

    def __getitem__(self, record_id: str) -> Record:
        return self.known[record_id]

    def __contains__(self, record_id: str) -> bool:
        return record_id in self.known

    def load(self, ids: set[str]) -> None:
        allowed = self.selection.ids
        unknown = ids - self.known.keys() - self.absent
        wanted = unknown if allowed is None else unknown.intersection(allowed)
        if wanted:
            chosen = Selection(
                ids=tuple(wanted),
                source_ids=self.selection.source_ids,
                filter=self.selection.filter,
            )
            self.known.update((record.id, record) for record in self.store.select(chosen))
        self.absent |= unknown - self.known.keys()


def _windows(found: _Records, records: Sequence[Record], count: int) -> list[list[str]]:
    """Of each record the ids around it, itself included, in order."""
    windows = [[record.id] for record in records]
    for _ in range(count):
        ends = [
            (window, relation, found[window[place]].links.get(relation))
            for window in windows
            for relation, place in (("previous", 0), ("next", -1))
        ]
        found.load({target for _, _, target in ends if target is not None})
        has_grown = False
        for window, relation, target in ends:
            if target is None or target not in found or target in window:
                continue
            window.insert(0 if relation == "previous" else len(window), target)
            has_grown = True
        if not has_grown:  # every chain has ended, however many steps were asked for
            break
    spoken = [_spoken_of(record) for record in records]
    found.load({target for before, after in spoken for target in (*before, *after)})
    for window, record, (before, after) in zip(windows, records, spoken, strict=True):
        here = window.index(record.id)
        window[here + 1 : here + 1] = _new(after, window, found)
        window[here:here] = _new(before, window, found)
    return windows


def _spoken_of(record: Record) -> tuple[list[str], list[str]]:
    """Ids of what is said of a picture or read in it, and of the pictures that a text is about."""
    kinds = {relation: relation.partition(":")[0] for relation in record.links}
    before = [record.links[name] for name, kind in kinds.items() if kind in _BEFORE]
    after = [record.links[name] for name, kind in kinds.items() if kind in _AFTER]
    return before, after


def _new(ids: Sequence[str], window: Sequence[str], found: _Records) -> list[str]:
    return [name for name in dict.fromkeys(ids) if name in found and name not in window]


def _in_document_order(
    ids: Sequence[str], before: dict[str, str], after: dict[str, str]
) -> Iterator[str]:
    """Walk from each id back to where its passage begins, and on to where it ends."""
    told: set[str] = set()
    for record_id in ids:
        if record_id in told:
            continue
        start, seen = record_id, {record_id}
        while (previous := before.get(start)) and previous not in seen | told:
            start = previous
            seen.add(start)
        place: str | None = start
        while place is not None and place not in told:
            told.add(place)
            yield place
            place = after.get(place)
        if record_id not in told:  # links that contradict each other led elsewhere
            told.add(record_id)
            yield record_id
