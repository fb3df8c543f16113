"""Which hits show the same picture, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from unisem.images.looks import first_near
from unisem.records import Record
from unisem.stores import Store
from unisem.stores.hits import Hit
from unisem.stores.selection import Selection

Duplicates = Literal["keep", "same", "near"]
"""Keep all hits; one for the same picture, byte for byte; or one for nearly the same, too."""
MOST_COPIES = 100
"""How many copies a hit tells of."""


def without_duplicates(hits: Sequence[Hit], duplicates: Duplicates) -> list[Hit]:
    """The first hit of each picture; hits without a picture all.

    A hit that nearly the same ones made way for tells of them.

    Args:
        hits: Best first.
        duplicates: What counts as one picture.
    """
    if duplicates == "keep":
        return list(hits)
    found: list[Hit] = []
    digests: set[str] = set()
    for hit in hits:
        image = hit.record.image
        if image is not None and image.sha256 is not None:
            if image.sha256 in digests:
                continue
            digests.add(image.sha256)
        found.append(hit)
    return found if duplicates == "same" else _without_near(found)


def _without_near(hits: Sequence[Hit]) -> list[Hit]:
    """The first hit of each look, in whose copies are those that made way for it."""
    images = [hit.record.image for hit in hits]
    looks = [image.look if image is not None and image.sha256 else None for image in images]
    others: dict[int, list[Record]] = {}
    for place, (hit, owner) in enumerate(zip(hits, first_near(looks), strict=True)):
        copies = others.setdefault(owner, [])
        copies += hit.copies if owner == place else (hit.record, *hit.copies)
    return [replace(hits[place], copies=tuple(copies)) for place, copies in others.items()]


def with_copies(store: Store, hits: Sequence[Hit], selection: Selection) -> list[Hit]:
    """Give each hit the records that have its picture, byte for byte, beside its near ones.

    Args:
        store: Where the records are.
        hits: One for each picture.
        selection: What a record must meet to be told of.
    """
    digests = list(dict.fromkeys(d for hit in hits for d in _digests((hit.record, *hit.copies))))
    known = len({it.id for hit in hits for it in (hit.record, *hit.copies) if _digests((it,))})
    if not digests or store.count(replace(selection, digests=tuple(digests))) <= known:
        return [hit if not hit.copies else _telling(hit, ()) for hit in hits]
    records = _found(store, digests, selection, known)
    return [
        _telling(
            hit, [it for d in _digests((hit.record, *hit.copies)) for it in records.get(d, ())]
        )
        for hit in hits
    ]


def _found(
    store: Store, digests: Sequence[str], selection: Selection, known: int
) -> dict[str, list[Record]]:
    """Records by their pictures, so many that each has as many as are told of."""
    chosen = replace(selection, digests=tuple(digests))
    records, following = store.page(chosen, None, known + MOST_COPIES)
    if following is not None:  # one picture of very many records hides those of the others
        records = [
            record
            for digest in digests
            for record in store.page(replace(selection, digests=(digest,)), None, MOST_COPIES + 1)[
                0
            ]
        ]
    found: dict[str, list[Record]] = {}
    for record in records:
        for digest in _digests((record,)):
            of_one = found.setdefault(digest, [])
            if len(of_one) <= MOST_COPIES:  # the same ones, however many pictures are asked for
                of_one.append(record)
    return found


def _telling(hit: Hit, records: Iterable[Record]) -> Hit:
    others = {record.id: record for record in (*hit.copies, *records)}
    others.pop(hit.record.id, None)
    ordered = [others[name] for name in sorted(others)]
    return replace(hit, copies=tuple(ordered[:MOST_COPIES]))


def _digests(records: Iterable[Record]) -> list[str]:
    return [
        record.image.sha256
        for record in records
        if record.image is not None and record.image.sha256 is not None
    ]
