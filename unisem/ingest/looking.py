"""`remember_looks`: pictures that were taken in before looks were kept are given theirs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from itertools import islice

from unisem.common.interrupts import raise_if_interrupted
from unisem.common.threads import in_order, workers
from unisem.errors import ImageError
from unisem.images.frames import decode_middle, side_by_side
from unisem.images.looks import look_of
from unisem.records import EmbeddedRecord, Record
from unisem.stores import Store
from unisem.stores.selection import Selection

_AHEAD = 32  # pictures that are read at once
_BATCH = 256  # records of a transaction
_ENOUGH = 96  # pixels a side


def without_look(store: Store) -> list[Record]:
    """The records whose picture's look is not known."""
    records = store.select(Selection(modality="image"))
    return [it for it in records if it.image is not None and it.image.look is None]


def looked_at(records: Iterable[Record]) -> Generator[Record, None, None]:
    """The records with their pictures' looks, in order; without those that cannot be read."""
    with workers("unisem-looks") as pool:

        def job(record: Record) -> Future[Record | None]:
            return pool.submit(_looked_at, record)

        yield from (it for it in in_order(map(job, records), _AHEAD) if it is not None)


def remember_looks(
    store: Store,
    *,
    among: Callable[[Record], bool] = lambda _: True,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Give every picture that has none its look, batch by batch, as far as pictures can be read.

    Vectors stay, bit for bit.

    Args:
        store: Where the records are.
        among: Whose pictures are looked at, of those without a look.
        progress: Called with (pictures done, pictures in all).

    Returns:
        How many pictures were given theirs.
    """
    waiting = [record for record in without_look(store) if among(record)]
    done = 0
    with closing(looked_at(waiting)) as found:
        while batch := list(islice(found, _BATCH)):
            raise_if_interrupted()
            ids = [record.id for record in batch]
            # Whoever has replaced a record meanwhile is right.
            same = [
                EmbeddedRecord(record, vectors)
                for record, now, vectors in zip(
                    batch, store.get(ids), store.vectors(ids), strict=True
                )
                if vectors is not None and _is_same(record, now)
            ]
            store.add(same)
            done += len(same)
            if progress is not None:
                progress(done, len(waiting))
    return done


def _looked_at(record: Record) -> Record | None:
    image = record.image
    assert image is not None
    try:
        frames = [image.open(min_side=_ENOUGH), decode_middle(image.read_verified(), image.name)]
        look = look_of(side_by_side([frame for frame in frames if frame is not None]))
    except ImageError:
        return None
    return record.with_image(replace(image, look=look))


def _is_same(record: Record, now: Record | None) -> bool:
    """Whether only the look differs."""
    if now is None or now.image is None or record.image is None:
        return False
    return now.with_image(replace(now.image, look=record.image.look)) == record
