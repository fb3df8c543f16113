"""`Encoder`: what turns texts and pictures into vectors of one space."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Literal

from numpy.typing import ArrayLike
from PIL import Image

from unisem.common.unit_vectors import unit_rows
from unisem.encoders.options import EncoderOptions
from unisem.errors import EncoderError, ModalityError
from unisem.images.reference import ImageSource, open_image
from unisem.records import Vector, check_unicode

_ENOUGH = 1024  # pixels; models look at fewer

Role = Literal["query", "document"]
"""Whether a text is what somebody asks or what is searched; some models embed them differently."""

Progress = Callable[[int], None]
"""Called with the number of inputs finished since the last call."""


class Encoder(ABC):
    """Texts and pictures to float32 unit vectors of one dimension.

    Implementations may be called from several threads.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """What a person calls this model, for example ``mini`` or a hub id."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Hex digest that differs between models whose vectors must not be mixed."""

    @property
    def image_fingerprint(self) -> str:
        """The fingerprint of the encoder whose pictures' vectors these are; mostly its own."""
        return self.fingerprint

    @property
    def model_fingerprint(self) -> str:
        """The fingerprint of its model, whatever that was asked; its own unless it has options."""
        return self.fingerprint

    @property
    def former_fingerprint(self) -> str | None:
        """What the fingerprint was before inputs were prepared for this model as they are now.

        ``None`` if they always were. A space that has it is to be embedded anew.
        """
        return None

    @property
    @abstractmethod
    def dimension(self) -> int:
        """Length of every vector."""

    @property
    def options(self) -> EncoderOptions:
        """How the model was asked to embed; as it does by itself unless an encoder says more."""
        return EncoderOptions()

    @abstractmethod
    def encode_texts(
        self,
        texts: Sequence[str],
        role: Role = "document",
        *,
        batch_size: int = 32,
        progress: Progress | None = None,
    ) -> Vector:
        """Embed texts; over-long ones are truncated as the model does.

        Args:
            texts: Strings; always read as text, whatever they look like.
            role: ``"query"`` or ``"document"``.
            batch_size: Texts per model call.
            progress: Called after each batch with its size.

        Returns:
            ``(n, d)`` float32 array of unit rows, in the order given.

        Raises:
            TypeError: ``texts`` is one text, or an item is none.
            ValueError: There is no such role, or ``batch_size`` is not at least 1.
        """

    @abstractmethod
    def encode_images(
        self,
        images: Sequence[ImageSource],
        *,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Vector:
        """Embed pictures.

        Args:
            images: Paths, bytes, Pillow pictures or `ImageRef`, mixed as you like.
            batch_size: Pictures per model call; what suits the device if ``None``.
            progress: Called after each batch with its size.

        Returns:
            ``(n, d)`` float32 array of unit rows, in the order given.

        Raises:
            ImageError: Names the first picture that cannot be used.
            EncoderError: The model has no image side.
        """

    @property
    def fuses(self) -> bool:
        """Whether a text and a picture together have one vector of their own: `encode_pairs`."""
        return False

    def encode_pairs(
        self,
        texts: Sequence[str],
        images: Sequence[ImageSource],
        role: Role = "document",
        *,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Vector:
        """Embed texts, each together with a picture, into one fused vector for the two.

        Args:
            texts: As of `encode_texts`.
            images: As of `encode_images`: one for each text.
            role: Whether a pair is what somebody asks or what is searched.
            batch_size: Pairs per model call; what suits the device if ``None``.
            progress: Called after each batch with its size.

        Returns:
            ``(n, d)`` float32 array of unit rows, in the order given.

        Raises:
            ModalityError: The model has no such vectors: `fuses` is false.
            ImageError: Names the first picture that cannot be used.
            ValueError: There are more of one than of the other.
        """
        del images, role, batch_size, progress
        raise ModalityError(
            f"the encoder {self.name!r} has no vector for a text and a picture together; embed "
            f"each of the {len(texts)} pairs apart, or pass a model that reads both at once, such "
            "as Qwen3-VL-Embedding"
        )

    def encode_prepared_pairs(
        self, texts: Sequence[str], images: Sequence[Image.Image], role: Role = "document"
    ) -> Vector:
        """As `encode_pairs`, of pictures that come from `prepare_image` of this encoder."""
        return self.encode_pairs(texts, images, role)

    def reads_whole(self, text: str) -> bool:
        """Whether a document's text is embedded to its end.

        ``False`` if it has more tokens than the model reads; ``True``, too, where an encoder
        cannot tell.
        """
        del text
        return True

    def prepare_image(self, image: ImageSource) -> Image.Image:
        """Decode one picture as this encoder wants it; `encode_prepared` takes the result.

        A caller that must survive bad pictures calls this first, from as many threads as it
        likes, and encodes what came through. Unless an encoder says otherwise, a large picture is
        scaled down by a whole number, sides of 1,024 pixels kept: dozens wait for a batch.

        Raises:
            ImageError: The picture cannot be used.
        """
        return open_image(image, min_side=_ENOUGH)

    def encode_prepared(self, images: Sequence[Image.Image]) -> Vector:
        """As `encode_images`, of pictures that come from `prepare_image` of this encoder.

        An encoder that makes pictures wholly ready there encodes them as they are.
        """
        return self.encode_images(images)


def texts_as_list(texts: Sequence[str], role: Role) -> list[str]:
    """Texts that `Encoder.encode_texts` was given.

    Raises:
        TypeError: It is one text, or has something among it that is none; says where.
        ValueError: There is no such role.
        RecordError: A text is not valid Unicode; says which.
    """
    if isinstance(texts, str):
        raise TypeError("pass a list of texts, for example [text]")
    if role not in ("query", "document"):
        raise ValueError(f'role must be "query" or "document", not {role!r}')
    listed = list(texts)
    for position, text in enumerate(listed):
        if not isinstance(text, str):
            raise TypeError(f"texts[{position}] is {type(text).__name__}, not a string")
        check_unicode(text, f"texts[{position}]")
    return listed


def check_pairs(texts: Sequence[str], images: Sequence[object]) -> None:
    """Refuse other than a picture for each text.

    Raises:
        ValueError: Says how many there are of each.
    """
    if len(texts) != len(images):
        raise ValueError(
            f"each text is embedded with a picture, but there are {len(texts)} texts and "
            f"{len(images)} pictures"
        )


def rows_of(encoder: Encoder, raw: ArrayLike, remedy: str = "") -> Vector:
    """What an encoder gave, ``(n, d)``, as float32 rows of unit length.

    Args:
        encoder: To be named in an error.
        raw: What it gave.
        remedy: What to do about a vector without direction, as words that end the sentence.

    Raises:
        EncoderError: A vector is zero or not finite.
    """
    return unit_rows(raw, f"the encoder {encoder.name!r} gave a vector that", EncoderError, remedy)
