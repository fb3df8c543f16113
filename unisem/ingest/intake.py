"""`Intake`: the one way by which anything gets into a space.

Whoever adds records offers them here. What is done, once for each picture and in this order:

1. admit, in a thread: the path is confined, the file read, its header checked, its digest taken;
2. prepare, in the same thread: what is wanted and has no vector yet is decoded, ahead of the
   encoder, and bytes without a file are written into the space;
3. embed, batch by batch, while the threads go on;
4. where somebody asked for them, make and keep a reranker's tokens of those records;
5. commit, batch by batch (`committed`), or all at once by whoever wants all or nothing
   (`embedded`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from unisem.common.interrupts import raise_if_interrupted
from unisem.common.skipped import Skipped
from unisem.common.threads import finished, in_order, workers
from unisem.encoders.base import Encoder, rows_of
from unisem.errors import ImageError
from unisem.images.decoding import decode_image
from unisem.images.frames import side_by_side
from unisem.images.library import ImageLibrary
from unisem.images.looks import look_of
from unisem.images.reference import ImageRef
from unisem.ingest.frames import frames_for, fused_of, one_or_several
from unisem.records import EmbeddedRecord, Record, Vector, VectorKind
from unisem.stores import Store

if TYPE_CHECKING:
    from unisem.ingest.token_making import TokenMaker
    from unisem.readers.documents.document import Document

_AHEAD = 32  # records that are read and decoded while the encoder works
BATCH = 32  # decoded pictures that are embedded at once
_MOST = 256  # records that are embedded at once
_PROBE = 32  # pixels a side: large JPEGs are decoded at reduced scale, and to their end
_CARRIED = 8 * 1024 * 1024  # bytes of pictures that go elsewhere at once
_QUICK, _SLOW = 1.0, 4.0  # seconds of a batch after which the next one is larger, or smaller


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """A record that somebody wants to be taken in.

    Attributes:
        record: As its entrance made it; its picture has not been opened.
        vectors: Those that it comes with; ``None`` if the encoder is to make them.
        is_wanted: Asked, in a thread, with the record whose picture has been inspected; what is
            not wanted goes no further. It may raise an `ImageError`.
        described: Gives, in a thread, the record whose picture has been inspected what its file
            knows of it.
        completed: Gives, in a thread, the record whose picture has been inspected what is known
            of it already.
        recall: Asked, in a thread, with the record whose picture has been inspected and that is
            wanted, for vectors that were made of the same text and picture before.
        copied: The picture's file is a stranger's: it is read inside its own root, whichever
            folders the space has, and copied into the space.
        whole: The picture is decoded to its end, though it comes with its vectors.
        fills: Vectors that it comes without are made, though it comes with others.
    """

    record: Record
    vectors: dict[VectorKind, Vector] | None = None
    is_wanted: Callable[[Record], bool] | None = None
    described: Callable[[Record, bytes], Record] | None = None
    completed: Callable[[Record], Record] | None = None
    recall: Callable[[Record], dict[VectorKind, Vector] | None] | None = None
    copied: bool = False
    whole: bool = False
    fills: bool = False

    @classmethod
    def of(cls, record: object) -> Offer:
        """What somebody adds, as an offer.

        Raises:
            TypeError: It is no `Record`.
        """
        if not isinstance(record, Record):
            raise TypeError(f"expected a unisem.Record, not {type(record).__name__}")
        return cls(record)


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What became of an offer before its vectors are made.

    Attributes:
        offer: What was offered.
        record: The record with its picture inspected and kept; as offered if it cannot be.
        vectors: Those that it came with, or that are recalled.
        pixels: The picture as the encoder wants it, if its vectors are to be made here; of an
            animation its first frame and its middle one.
        for_tokens: The picture as the reranker wants it, if its tokens are to be made.
        is_wanted: What the offer says of the record.
        error: Why the picture cannot be used.
        data: The picture's bytes, if its vector is to be made elsewhere.
    """

    offer: Offer
    record: Record
    vectors: dict[VectorKind, Vector] | None = None
    pixels: tuple[Image.Image, ...] = ()
    for_tokens: Image.Image | None = None
    is_wanted: bool = True
    error: ImageError | None = None
    data: bytes | None = None

    @property
    def wants_text(self) -> bool:
        """Whether a vector of its text is to be made."""
        has_text = self.record.image is None or bool(self.record.text)
        return has_text and _lacks(self.offer, self.vectors, "text")

    @property
    def wants_image(self) -> bool:
        """Whether a vector of its picture is to be made."""
        return _lacks(self.offer, self.vectors, "image")

    @property
    def wants_both(self) -> bool:
        """Whether a fused vector is to be made, if the encoder makes such."""
        return bool(self.record.text) and _lacks(self.offer, self.vectors, "both")


class Intake:
    """Takes records into a space, or as far on the way as its user has what it needs.

    Args:
        image_library: Where pictures may lie; ``None`` leaves that to the references' roots.
        encoder: Makes vectors; without one, pictures that come without are decoded small and to
            their end, to see that they can be.
        tokens: Makes a reranker's tokens of what is taken in; none if ``None``.
    """

    def __init__(
        self,
        image_library: ImageLibrary | None = None,
        encoder: Encoder | None = None,
        tokens: TokenMaker | None = None,
    ) -> None:
        self.image_library = image_library
        self.encoder = encoder
        self.tokens = tokens

    def prepared(self, offers: Iterable[Offer]) -> Generator[Prepared, None, None]:
        """Yield what became of each offer, in order, while threads prepare the next ones."""
        with workers("unisem-ingest") as pool:

            def job(offer: Offer) -> Future[Prepared]:
                if offer.record.image is not None:
                    return pool.submit(self._prepare, offer)
                return finished(self._prepare(offer))

            yield from in_order(map(job, offers), _AHEAD)

    def with_tokens(self, offers: Iterable[Offer]) -> Generator[Prepared, None, None]:
        """As `prepared`, of what comes with its vectors and is to be stored: tokens are made.

        Raises:
            RerankerError: As `TokenMaker.keep`.
        """
        with closing(self.prepared(offers)) as items:
            while batch := next_batch(items, BATCH):
                self._keep_tokens(batch)
                yield from batch

    def inspected(
        self,
        items: Iterable[Record | Skipped | Document],
        described: Callable[[Record, bytes], Record] | None = None,
    ) -> Generator[Record | Skipped, None, None]:
        """Yield what a reader yields, in order, its pictures inspected and decoded.

        A record whose picture cannot be used is `Skipped`.

        Args:
            items: What the reader yields.
            described: As of `Offer`: the reader's own.
        """
        from unisem.readers.documents.document import records_of

        with workers("unisem-ingest") as pool:

            def job(item: Record | Skipped) -> Future[Record | Skipped]:
                if isinstance(item, Skipped) or item.image is None:
                    return finished(item)
                return pool.submit(look, item)

            def look(record: Record) -> Record | Skipped:
                item = self._prepare(Offer(record, described=described))
                return item.record if item.error is None else Skipped.of(item.error)

            yield from in_order(map(job, records_of(items)), _AHEAD)

    def inspect(self, image: ImageRef) -> ImageRef:
        """Admit and decode one picture, here and now.

        Raises:
            ImageError: It cannot be used.
        """
        taken = self.inspect_record(Record(image=image)).image
        assert taken is not None
        return taken

    def inspect_record(
        self, record: Record, described: Callable[[Record, bytes], Record] | None = None
    ) -> Record:
        """Admit and decode one record's picture, here and now, and have it described.

        Args:
            record: The record.
            described: As of `Offer`.

        Raises:
            ImageError: It cannot be used.
        """
        item = self._prepare(Offer(record, described=described))
        if item.error is not None:
            raise item.error
        return item.record

    def _prepare(self, offer: Offer) -> Prepared:
        """Admit and prepare one offer; what is wrong with its picture is in the result."""
        record, for_tokens = offer.record, None
        try:
            if record.image is None:
                if offer.completed is not None:
                    record = offer.completed(record)
                wanted = _is_wanted(offer, record)
                return Prepared(offer, record, _vectors(offer, record, wanted), is_wanted=wanted)
            image = record.image
            if self.image_library is not None and not offer.copied:
                image = self.image_library.admit(image)
            data = image.read_bytes()
            if offer.copied:
                image = ImageRef(data=data)
            if self.image_library is None:
                placed = image.inspected(data)
            else:
                placed = self.image_library.placed(image, data)
            inspected = record.with_image(placed)
            if offer.described is not None:
                inspected = offer.described(inspected, data)
            if offer.completed is not None:
                inspected = offer.completed(inspected)
            wanted, carried = _is_wanted(offer, inspected), None
            pixels: tuple[Image.Image, ...] = ()
            record, vectors = inspected, _vectors(offer, inspected, wanted)
            is_fused = bool(record.text) and _lacks(offer, vectors, "both") and self._fuses()
            if wanted and (_lacks(offer, vectors, "image") or is_fused):
                pixels, carried = self._for_encoder(data)
            if pixels:
                placed = replace(placed, look=look_of(side_by_side(pixels)))
                record = record.with_image(placed)
            if wanted and self.tokens is not None:
                for_tokens = self.tokens.prepared(
                    placed, data, pixels[0] if pixels else None, self.encoder
                )
            if wanted and offer.whole and not pixels and for_tokens is None:
                decode_image(data, "picture", min_side=_PROBE)
            is_moved = (placed.path, placed.elsewhere) != (image.path, image.elsewhere)
            if self.image_library is not None and is_moved:
                self.image_library.write(placed, data)
        except ImageError as error:
            assert offer.record.image is not None
            named = error.named(offer.record.image.name)
            named.__cause__ = error
            return Prepared(offer, record, error=named)
        return Prepared(offer, record, vectors, pixels, for_tokens, wanted, data=carried)

    def embedded(self, offers: Iterable[Offer], *, most: int = _MOST) -> Iterator[EmbeddedRecord]:
        """Give all that is offered its vectors, or raise.

        Args:
            offers: What is offered.
            most: Records that are embedded at once.

        Raises:
            ImageError: Names the first picture that cannot be used.
            EncoderError: A vector is zero or not finite.
            RerankerError: As `TokenMaker.keep`.
        """
        with closing(self.prepared(offers)) as items:
            while batch := next_batch(items, most):
                for item in batch:
                    if item.error is not None:
                        raise item.error
                yield from self._embed(batch)

    def committed(
        self,
        offers: Iterable[Offer],
        store: Store,
        *,
        most: int = BATCH,
        settled: Callable[[Prepared], Prepared] | None = None,
    ) -> Generator[list[Prepared], None, None]:
        """Store what is wanted and can be used, and yield what became of each batch.

        A batch is one transaction. It grows from one record as far as the encoder keeps up, so
        that the first records are stored within seconds whatever the model.

        Args:
            offers: What is offered.
            store: Where to.
            most: Records of a batch.
            settled: Asked of each, in order, just before its batch is stored, so that it knows
                what became of all that were offered before; what it gives is stored.

        Raises:
            EncoderError: A vector is zero or not finite; earlier batches are stored.
            RerankerError: As `TokenMaker.keep`; likewise.
            StoreError: The store refused; earlier batches are stored.
        """
        size = 1
        with closing(self.prepared(offers)) as items:
            while True:
                started = time.monotonic()
                if not (batch := next_batch(items, size)):
                    return
                raise_if_interrupted()
                if settled is not None:
                    batch = list(map(settled, batch))
                usable = [item for item in batch if item.is_wanted and item.error is None]
                store.add(list(self._embed(usable)))
                seconds = time.monotonic() - started
                size = next_size(size, seconds, most)
                yield batch

    def _embed(self, batch: Sequence[Prepared]) -> Iterator[EmbeddedRecord]:
        self._keep_tokens(batch)
        texts = [item.record.text or "" for item in batch if item.wants_text]
        images = [frame for item in batch if item.wants_image for frame in item.pixels]
        text_rows = image_rows = fused_rows = iter(np.empty((0, 0), np.float32))
        joined = [item for item in batch if item.pixels and item.wants_both and self._fuses()]
        if (encoder := self.encoder) is not None and texts:
            text_rows = iter(rows_of(encoder, encoder.encode_texts(texts)))
        if encoder is not None and images:
            image_rows = iter(rows_of(encoder, encoder.encode_prepared(images)))
        if encoder is not None and joined:
            fused_rows = iter(
                fused_of(encoder, [(it.record.text or "", it.pixels) for it in joined])
            )
        for item in batch:  # by position, not by id: one call may hold an id twice
            vectors = dict(item.vectors or {})
            if item.wants_text:
                vectors["text"] = next(text_rows)
            if item.pixels and item.wants_image:
                vectors["image"] = one_or_several([next(image_rows) for _ in item.pixels])
            if item in joined:
                vectors["both"] = next(fused_rows)
            yield EmbeddedRecord(item.record, vectors)

    def _keep_tokens(self, batch: Sequence[Prepared]) -> None:
        seen = {
            item.record.image.sha256: item.for_tokens
            for item in batch
            if item.for_tokens is not None and item.record.image is not None
        }
        if self.tokens is not None:
            kept = [item for item in batch if item.is_wanted and item.error is None]
            self.tokens.keep(
                {digest: image for digest, image in seen.items() if digest},
                [item.record.text for item in kept],
            )

    def _fuses(self) -> bool:
        """Whether fused vectors are made here."""
        return self.encoder is not None and self.encoder.fuses

    def _for_encoder(self, data: bytes) -> tuple[tuple[Image.Image, ...], bytes | None]:
        """What is kept of a picture whose vectors are to be made: its pixels, or its bytes."""
        if self.encoder is None:
            return (decode_image(data, "picture", min_side=_PROBE),), None
        return tuple(frames_for(self.encoder, data)), None


def with_digest(sha256: str | None, *fault: str) -> Callable[[Record], bool]:
    """What refuses, by an `ImageError` with these words, a picture that has another digest."""

    def is_wanted(record: Record) -> bool:
        image = record.image
        if image is not None and sha256 not in (None, image.sha256):
            raise ImageError(image.name, *fault)
        return True

    return is_wanted


def _is_wanted(offer: Offer, record: Record) -> bool:
    return offer.is_wanted is None or offer.is_wanted(record)


def _vectors(offer: Offer, record: Record, wanted: bool) -> dict[VectorKind, Vector] | None:
    if offer.vectors is not None or not wanted or offer.recall is None:
        return offer.vectors
    return offer.recall(record)


def _lacks(offer: Offer, vectors: dict[VectorKind, Vector] | None, modality: VectorKind) -> bool:
    """Whether a vector is to be made, if there is something to make it of."""
    return vectors is None or (offer.fills and modality not in vectors)


def next_size(size: int, seconds: float, most: int) -> int:
    """How many records the next batch is to have, after one of this size took so long."""
    if seconds < _QUICK:
        return min(2 * size, most)
    return max(size // 2, 1) if seconds > _SLOW else size


def next_batch(items: Iterator[Prepared], most: int) -> list[Prepared]:
    """The next records, fewer if they hold many decoded pictures, or large ones."""
    batch: list[Prepared] = []
    pictures = carried = 0
    for item in items:
        batch.append(item)
        pictures += len(item.pixels) or item.for_tokens is not None
        carried += len(item.data or b"")
        if len(batch) >= most or pictures >= BATCH or carried >= _CARRIED:
            break
    return batch
