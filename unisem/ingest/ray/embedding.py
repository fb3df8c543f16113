"""`ParcelEmbedder`: what runs in an actor of a Ray cluster, and what goes there and comes back."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from PIL import Image

from unisem.common.threads import in_order, workers
from unisem.encoders.base import Encoder, rows_of
from unisem.errors import EncoderMismatchError, ImageError
from unisem.images.frames import side_by_side
from unisem.images.looks import look_of
from unisem.images.reference import ImageRef
from unisem.ingest.frames import frames_for, fused_of, one_or_several
from unisem.records import Vector

_AHEAD = 16  # pictures that are read and decoded at once


@dataclass(frozen=True, slots=True, eq=False)
class Parcel:
    """What an actor is to embed.

    Attributes:
        texts: Of documents.
        images: Pictures' files as bytes, or where to read them; then with their digests.
        captions: For each picture its text, if a fused vector of both is wanted where there are
            such.
        wanted: For each picture whether its own vector is.
    """

    texts: list[str]
    images: list[bytes | ImageRef]
    captions: list[str | None]
    wanted: list[bool]


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedParcel:
    """What an actor has made of a parcel.

    Attributes:
        texts: ``(n, d)`` float32 unit rows, one a text.
        images: Of the pictures that can be used, in order: ``(d,)``, of several frames ``(n, d)``;
            ``None`` where none was wanted.
        fused: The same of these with their captions; ``None`` where there is none.
        looks: How these look, see `unisem.images.looks`; ``None`` where it was not looked.
        faults: What is wrong with the others, by their positions.
        seconds: How long it took.
    """

    texts: Vector
    images: list[Vector | None]
    fused: list[Vector | None]
    looks: list[str | None]
    faults: dict[int, ImageError]
    seconds: float


class ParcelEmbedder:
    """Holds an encoder in a process of its own.

    Args:
        load: Gives the encoder; called there, by `begin`.
        fingerprint: That the encoder must have.
    """

    def __init__(self, load: Callable[[], Encoder], fingerprint: str) -> None:
        self._load = load
        self._fingerprint = fingerprint
        self._encoder: Encoder | None = None

    def begin(self) -> bool:
        """Load the encoder; return whether it fuses, which only its weights say.

        Raises:
            EncoderError: It is not there.
            EncoderMismatchError: It is another one.
        """
        if self._encoder is None:
            encoder = self._load()
            if encoder.fingerprint != self._fingerprint:
                raise EncoderMismatchError(
                    f"the encoder {encoder.name!r} on the machine {platform.node()!r} is another "
                    "one than the space's; put the same files on both"
                )
            self._encoder = encoder
        return self._encoder.fuses

    def embed(self, parcel: Parcel) -> EmbeddedParcel:
        """Decode and embed; a picture that cannot be used costs itself.

        Raises:
            EncoderError: As `begin`; a vector is zero or not finite.
        """
        started = time.perf_counter()
        self.begin()
        encoder = self._encoder
        assert encoder is not None
        faults: dict[int, ImageError] = {}
        ready: list[list[Image.Image]] = []
        captions: list[str | None] = []
        wanted: list[bool] = []
        said = parcel.captions if encoder.fuses else [None] * len(parcel.images)
        for position, found in enumerate(_prepared(encoder, parcel, said)):
            if isinstance(found, ImageError):
                faults[position] = found
            else:
                ready.append(found)
                captions.append(said[position])
                wanted.append(parcel.wanted[position])
        texts = np.empty((0, encoder.dimension), np.float32)
        rows = iter(texts)
        if parcel.texts:
            texts = rows_of(encoder, encoder.encode_texts(parcel.texts))
        alone = [image if is_wanted else [] for image, is_wanted in zip(ready, wanted, strict=True)]
        if frames := [frame for image in alone for frame in image]:
            rows = iter(rows_of(encoder, encoder.encode_prepared(frames)))
        images = [one_or_several([next(rows) for _ in it]) if it else None for it in alone]
        pairs = [
            (text, image) for text, image in zip(captions, ready, strict=True) if text is not None
        ]
        joined = fused_of(encoder, pairs)
        fused = [None if text is None else next(joined) for text in captions]
        looks = [look_of(side_by_side(image)) if image else None for image in ready]
        return EmbeddedParcel(texts, images, fused, looks, faults, time.perf_counter() - started)


def _prepared(
    encoder: Encoder, parcel: Parcel, captions: Sequence[str | None]
) -> Iterator[list[Image.Image] | ImageError]:
    """Each picture's frames as the encoder wants them, or why it cannot be used, in order.

    None of a picture that was sent for a fused vector to an encoder that makes none.
    """

    def prepare(position: int) -> list[Image.Image] | ImageError:
        image = parcel.images[position]
        if not parcel.wanted[position] and captions[position] is None:
            return []
        try:
            data = image if isinstance(image, bytes) else image.read_verified()
            return list(frames_for(encoder, data))
        except ImageError as error:
            return error

    with workers("unisem-decode") as pool:

        def job(position: int) -> Future[list[Image.Image] | ImageError]:
            return pool.submit(prepare, position)

        yield from in_order(map(job, range(len(parcel.images))), _AHEAD)
