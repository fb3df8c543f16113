"""`HostedEncoder`: an encoder that many ask at once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple

from unisem.encoders import Encoder, Role
from unisem.encoders.batched import BatchedEncoder
from unisem.encoders.options import EncoderOptions
from unisem.records import Vector
from unisem.service.batching import Batcher
from unisem.service.hosting import shown_name
from unisem.service.settings import ServiceSettings

_LETTERS = 4  # characters of a token, where an encoder does not count them


class Input(NamedTuple):
    """A text with its role, a picture's bytes, or both, to be embedded together.

    Attributes:
        value: The text, or the picture's bytes.
        role: Of a text.
        image: Bytes of the picture beside a text.
    """

    value: str | bytes
    role: Role = "document"
    image: bytes | None = None


class HostedEncoder:
    """An encoder, and what is embedded together.

    Args:
        encoder: The encoder.
        settings: How many may wait.
    """

    def __init__(self, encoder: Encoder, settings: ServiceSettings) -> None:
        self._encoder = encoder
        self.name = shown_name(encoder)
        self._inputs: Batcher[Input, Vector] = Batcher(
            f"unisem-embed-{self.name}", self._run, most=settings.batch, queue=settings.queue
        )

    @property
    def alias(self) -> str:
        """A name that says that pictures can be embedded, to clients that look for ``clip``."""
        return self.name if "clip" in self.name.lower() else f"{self.name}-clip"

    @property
    def options(self) -> EncoderOptions:
        """How it was asked to embed."""
        return self._encoder.options

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._encoder.dimension

    @property
    def fuses(self) -> bool:
        """Whether it makes one vector of a text and a picture together."""
        return self._encoder.fuses

    @property
    def waiting(self) -> int:
        """How many requests wait for it."""
        return self._inputs.waiting

    def embed(self, inputs: Sequence[Input]) -> Future[list[Vector]]:
        """Each input's unit vector, in order.

        Raises:
            RefusedError: Too many wait. The future's: an `ImageError`, an `EncoderError`.
        """
        return self._inputs.submit(inputs)

    def tokens(self, inputs: Sequence[Input]) -> int:
        """How many tokens the texts have; a quarter of their characters, if nobody counts."""
        texts = [it.value for it in inputs if isinstance(it.value, str)]
        if isinstance(self._encoder, BatchedEncoder) and self._encoder.supports("text"):
            return sum(map(self._encoder.count_tokens, texts))
        return sum(-(-len(text) // _LETTERS) for text in texts)

    def warm(self) -> None:
        """Load what embeds texts.

        Raises:
            EncoderError: It cannot be loaded, or embeds no texts.
        """
        self._encoder.encode_texts(["ready"], "query")

    def close(self) -> None:
        """Finish what waits."""
        self._inputs.close()

    def _run(self, inputs: list[Input]) -> list[Vector]:
        rows: dict[int, Vector] = {}
        for role in ("query", "document"):
            places = [
                place
                for place, it in enumerate(inputs)
                if isinstance(it.value, str) and it.role == role and it.image is None
            ]
            texts = [str(inputs[place].value) for place in places]
            if texts:
                rows |= zip(places, self._encoder.encode_texts(texts, role), strict=True)
            pairs = {
                place: (str(it.value), it.image)
                for place, it in enumerate(inputs)
                if it.image is not None and it.role == role
            }
            if pairs:
                said, shown = zip(*pairs.values(), strict=True)
                rows |= zip(pairs, self._encoder.encode_pairs(said, shown, role), strict=True)
        pictures = {
            place: it.value for place, it in enumerate(inputs) if isinstance(it.value, bytes)
        }
        if pictures:
            vectors = self._encoder.encode_images(list(pictures.values()))
            rows |= zip(pictures, vectors, strict=True)
        return [rows[place] for place in range(len(inputs))]
