"""`StoreView`: a space's store as one principal sees it, for clients that work over it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from unisem.calibration import Calibration, QueryKind, load_calibration
from unisem.calibration.artefact import packed
from unisem.errors import CalibrationError, RecordError
from unisem.images.reference import ImageRef
from unisem.ingest.intake import Offer
from unisem.records import EmbeddedRecord, Record, Vector, VectorKind, check_unicode
from unisem.service.refusal import RefusedError
from unisem.space import SemanticSpace
from unisem.stores.hits import Hit
from unisem.stores.selection import EVERYTHING, Match, Selection
from unisem.stores.vectors import admit
from unisem.wire.store import EmbeddedItem, KeptImage

if TYPE_CHECKING:
    from unisem.service.view import SpaceView


class StoreView:
    """What a `SpaceView` allows, with vectors.

    Args:
        space: The space.
        view: What is seen of it.
    """

    def __init__(self, space: SemanticSpace, view: SpaceView) -> None:
        self._space = space
        self._view = view

    @property
    def stored_dimension(self) -> int | None:
        """Length of the vectors stored last."""
        return self._space.store.dimension

    @property
    def image_fingerprint(self) -> str:
        """The fingerprint of the encoder of the pictures."""
        return self._space.encoder.image_fingerprint

    @property
    def model_fingerprint(self) -> str:
        """The fingerprint of the encoder's model."""
        return self._space.encoder.model_fingerprint

    def reads_whole(self, texts: Sequence[str]) -> list[bool]:
        """Whether the encoder reads texts to their end.

        Raises:
            RecordError: A text is not valid Unicode.
        """
        for position, text in enumerate(texts):
            check_unicode(text, f"texts[{position}]")
        return [self._space.encoder.reads_whole(text) for text in texts]

    def search(
        self, vectors: Vector, k: int, selection: Selection, match: Match, asked: QueryKind
    ) -> list[list[Hit]]:
        """See `Store.search`."""
        return self._space.store.search(vectors, k, self._view.bound(selection), match, asked)

    def search_words(self, text: str, k: int, selection: Selection) -> list[Hit]:
        """See `Store.search_words`."""
        return self._space.store.search_words(text, k, self._view.bound(selection))

    def vectors(self, ids: Sequence[str]) -> list[dict[VectorKind, Vector] | None]:
        """See `Store.vectors`."""
        if self._view.bound(EVERYTHING).is_everything:
            return self._space.store.vectors(ids)
        seen = [record.id for record in self._view.get(ids) if record is not None]
        found = dict(zip(seen, self._space.store.vectors(seen), strict=True))
        return [found.get(record_id) for record_id in ids]

    def _whole(self, item: Record | EmbeddedItem) -> Record:
        """A record with its picture, which may be one of the space now.

        Raises:
            RefusedError: There is no such record, or it has another picture (409).
        """
        if isinstance(item, Record):
            return item
        return item.record_with(None if item.kept is None else self._kept(item.kept))

    def _kept(self, kept: KeptImage) -> ImageRef:
        (record,) = self._view.get([kept.of])
        image = None if record is None else record.image
        if image is None or image.sha256 != kept.sha256:
            raise RefusedError(
                409,
                "a picture is not the one of that record any more",
                field="kept",
                remedy="read the record again",
            )
        return image

    def add(
        self, items: Sequence[tuple[Record | EmbeddedItem, dict[VectorKind, Vector]]]
    ) -> Future[list[list[str]]]:
        """Store records with their vectors, all of them or none; their ids in order.

        Args:
            items: Records and their vectors; as it was sent where the picture is one that is
                kept, which is looked up when nothing else is written.

        Raises:
            RefusedError: As `SpaceView.add`. The future's: a picture is not kept any more (409).
        """

        def job() -> list[str]:
            records = self._view.checked([self._whole(item) for item, _ in items])
            given = [
                EmbeddedRecord(record, vectors)
                for record, (_, vectors) in zip(records, items, strict=True)
            ]
            admitted = admit(given, self._space.encoder.dimension)  # before a picture is kept
            are_kept = [isinstance(item, EmbeddedItem) for item, _ in items]
            taken = self._space.intake.embedded(
                Offer(it.record, it.vectors)
                for it, is_kept in zip(admitted, are_kept, strict=True)
                if not is_kept
            )
            self._space.store.add(
                [
                    it if is_kept else next(taken)
                    for it, is_kept in zip(admitted, are_kept, strict=True)
                ]
            )
            return [record.id for record in records]

        return self._view.write(job)

    def delete(self, selection: Selection) -> Future[list[int]]:
        """See `Store.delete`; how many.

        Raises:
            RefusedError: Nothing may be removed here (403).
        """
        bound = self._view.bound(selection)
        return self._view.write(lambda: self._space.store.delete(bound))

    def update(self, metadata: Mapping[str, Mapping[str, Any]]) -> Future[list[int]]:
        """See `Store.update`; how many.

        Raises:
            RefusedError: Nothing may be changed here (403). The future's: the principal would not
                see a record any more.
            RecordError: There is no such record.
        """

        def job() -> int:
            changed = []
            for record_id, record in zip(metadata, self._view.get(list(metadata)), strict=True):
                if record is None:
                    raise RecordError(f"there is no record {record_id!r}; nothing was updated")
                changed.append(record.with_metadata(metadata[record_id]))
            self._view.checked(changed)
            self._space.update(metadata)
            return len(changed)

        return self._view.write(job)

    def calibration(self) -> tuple[str, bytes] | None:
        """The digest and the bytes of the calibration, if there is one.

        Raises:
            RefusedError: It holds vectors of records that the principal does not see (403).
        """
        self._check_unbound()
        calibration = self._space.calibration
        if calibration is None:
            return None
        data = packed(calibration)
        return hashlib.sha256(data).hexdigest(), data

    def calibrate(self, data: bytes | None) -> Future[list[None]]:
        """Search by a calibration from now on, or by raw cosines.

        Raises:
            RefusedError: Nothing may be changed here, or not for everybody else (403).
            CalibrationError: It is damaged. The future's: it is of other vectors.
        """
        self._check_unbound()
        calibration = None if data is None else _unpacked(data)
        return self._view.write(lambda: self._space.use_calibration(calibration))

    def _check_unbound(self) -> None:
        if not self._view.bound(EVERYTHING).is_everything:
            raise RefusedError(
                403, "this token is for a part of the space, and its calibration is made of all"
            )


def _unpacked(data: bytes) -> Calibration:
    with TemporaryDirectory(prefix="unisem-") as folder:
        path = Path(folder) / "calibration.safetensors"
        path.write_bytes(data)
        try:
            return load_calibration(path)
        except CalibrationError:  # which names the file
            raise CalibrationError("data is no calibration; send what one was saved as") from None
