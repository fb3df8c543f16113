"""`RayIntake`: the way in where pictures and texts are embedded on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing

from PIL import Image

from unisem.common.interrupts import raise_if_interrupted
from unisem.encoders.base import Encoder
from unisem.images.library import ImageLibrary
from unisem.ingest.intake import BATCH, Intake, Offer, Prepared
from unisem.ingest.ray.actors import RayActors
from unisem.records import EmbeddedRecord
from unisem.stores import Store


class RayIntake(Intake):
    """As `Intake`, but `committed` leaves decoding and embedding to actors.

    Everything else happens here: a picture is admitted, read, and its digest taken, before it is
    sent; what comes back is stored in the order in which it was offered.

    Args:
        image_library: Where pictures may lie.
        encoder: The space's; it embeds nothing here.
        actors: Have the same one.
    """

    def __init__(
        self, image_library: ImageLibrary | None, encoder: Encoder, actors: RayActors
    ) -> None:
        super().__init__(image_library, encoder)
        self._actors = actors

    def _fuses(self) -> bool:
        return self._actors.fuses  # to ask the encoder here would load its weights

    def _for_encoder(self, data: bytes) -> tuple[tuple[Image.Image, ...], bytes | None]:
        return (), data

    def committed(
        self,
        offers: Iterable[Offer],
        store: Store,
        *,
        most: int = BATCH,
        settled: Callable[[Prepared], Prepared] | None = None,
    ) -> Generator[list[Prepared], None, None]:
        """See `Intake.committed`.

        Raises:
            ClusterError: There is no cluster, or no actor for too long; earlier batches are stored.
            EncoderError: An actor has no such encoder, or it fails; likewise.
            StoreError: The store refused; likewise.
        """
        with (
            closing(self.prepared(offers)) as items,
            closing(self._actors.embedded(items, most)) as batches,
        ):
            for done in batches:
                raise_if_interrupted()
                batch = done if settled is None else list(map(settled, done))
                usable = [item for item in batch if item.is_wanted and item.error is None]
                store.add([EmbeddedRecord(item.record, item.vectors or {}) for item in usable])
                yield batch
