"""`RecordEmbedder`: records get their vectors, while threads decode the next pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from PIL import Image

from unisem.common.threads import awaited, workers
from unisem.encoders import Encoder
from unisem.encoders.unit import unit_rows
from unisem.errors import ImageError
from unisem.images.library import Pictures
from unisem.records import EmbeddedRecord, Modality, Record, Vector

_BATCH = 64


class RecordEmbedder:
    """Checks, keeps and embeds records, all of them or none; `Ingestion` is for mixed quality.

    Args:
        encoder: Embeds them.
        pictures: Says where their pictures may lie.
    """

    def __init__(self, encoder: Encoder, pictures: Pictures) -> None:
        self._encoder = encoder
        self._pictures = pictures

    def embed(
        self,
        records: Iterable[Record],
        *,
        leave_out: Callable[[Record, ImageError], None] | None = None,
    ) -> Iterator[EmbeddedRecord]:
        """Give records their vectors; see `SemanticSpace.embed`.

        Args:
            records: The records.
            leave_out: Called with each record whose picture cannot be used, which is left out;
                without it the first one's error is raised.
        """
        checked = map(_as_record, records)
        with workers("unisem-decode") as pool:
            while batch := list(islice(checked, _BATCH)):
                prepared: list[tuple[Record, Image.Image | None]] = []
                for record, job in [(item, pool.submit(self._prepare, item)) for item in batch]:
                    try:
                        prepared.append(awaited(job))
                    except ImageError as error:
                        if leave_out is None:
                            raise
                        leave_out(record, error)
                images = [image for _, image in prepared if image is not None]
                yield from embed_prepared(self._encoder, [record for record, _ in prepared], images)

    def _prepare(self, record: Record) -> tuple[Record, Image.Image | None]:
        if record.image is None:
            return record, None
        image = self._pictures.admit(record.image)
        data = image.read_bytes()
        try:
            decoded = self._encoder.prepare_image(data)
            return record.with_image(self._pictures.keep(image, data)), decoded
        except ImageError as error:
            raise ImageError(record.image.name, error.reason) from error


def embed_prepared(
    encoder: Encoder, records: list[Record], images: list[Image.Image]
) -> Iterator[EmbeddedRecord]:
    """Give records their vectors.

    Args:
        encoder: Embeds them.
        records: Records whose pictures are inspected.
        images: The prepared pictures of those records that have one, in order.

    Raises:
        EncoderError: A vector is zero or not finite.
    """
    captioned = [record for record in records if record.image is None or record.text]
    texts = [record.text or "" for record in captioned]
    text_rows = iter(unit_rows(encoder.encode_texts(texts), encoder.name) if texts else ())
    image_rows = iter(unit_rows(encoder.encode_images(images), encoder.name) if images else ())
    for record in records:  # by position, not by id: one call may hold an id twice
        vectors: dict[Modality, Vector] = {}
        if record.image is None or record.text:
            vectors["text"] = next(text_rows)
        if record.image is not None:
            vectors["image"] = next(image_rows)
        yield EmbeddedRecord(record, vectors)


def _as_record(record: object) -> Record:
    if not isinstance(record, Record):
        raise TypeError(f"expected a unisem.Record, not {type(record).__name__}")
    return record
