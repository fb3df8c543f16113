"""`pictures_shown`: who finds the words that were read in a picture is shown the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from unisem.recognition.words import belong, image_of
from unisem.stores import Store
from unisem.stores.hits import Hit
from unisem.stores.selection import Selection


def shown_id(hit: Hit) -> str:
    """Of which record a hit becomes one, as far as can be told without looking it up."""
    return image_of(hit.record) or hit.record.id


def pictures_shown(store: Store, hits: Sequence[Hit], selection: Selection) -> list[Hit]:
    """Put pictures in the place of the words that were read in them.

    The hit keeps its score. Words stay as they are where the selection does not admit their
    picture, as if only texts are asked for, and where they are not of that picture any more.

    Args:
        store: Where the records are.
        hits: Best first.
        selection: What was asked for.

    Returns:
        Best first; no record twice.
    """
    names = {name for hit in hits if (name := image_of(hit.record)) is not None}
    if not names:
        return list(hits)
    wanted = names if selection.ids is None else names.intersection(selection.ids)
    pictures = {
        record.id: record for record in store.select(replace(selection, ids=tuple(sorted(wanted))))
    }
    found: dict[str, Hit] = {}
    for hit in hits:
        picture = pictures.get(image_of(hit.record) or "")
        if picture is not None and belong(hit.record, picture):
            hit = replace(hit, record=picture)
        found.setdefault(hit.record.id, hit)
    return list(found.values())
