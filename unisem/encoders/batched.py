"""`BatchedEncoder`: an encoder that runs a model over batches, whatever runs the model."""

from __future__ import annotations

import logging
import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from unisem.common.counts import check_counts
from unisem.common.lazy_property import lazy_property
from unisem.common.threads import in_order, workers
from unisem.encoders.base import (
    Encoder,
    Progress,
    Role,
    check_pairs,
    rows_of,
    texts_as_list,
)
from unisem.encoders.options import EncoderOptions
from unisem.encoders.stated import too_long
from unisem.errors import EncoderError, ModalityError
from unisem.images.reference import ImageSource, open_image, sources_as_list
from unisem.models.finding import digest_model
from unisem.models.model_kind import read_config
from unisem.models.special_tokens import spelled_out
from unisem.records import Modality, Vector

_AHEAD = 16  # pictures that are decoded while the model works
_OWN = 8  # tokens at a text's ends, and of a prompt before it, that a model may add
_LETTERS = 20  # characters that a token has at most, nearly always
_MOST_OBLONG = 50  # times as long as wide; pictures beyond that are squeezed
_log = logging.getLogger(__name__)


class BatchedEncoder(Encoder):
    """What encoders of local models have in common: texts and pictures in, batch by batch.

    Attributes:
        directory: The model's files.
    """

    directory: Path
    _options: EncoderOptions
    _has_reported = False  # that a text was cut

    @property
    @abstractmethod
    def model_fingerprint(self) -> str:
        """The fingerprint of the model, without options."""

    @property
    @abstractmethod
    def model_dimension(self) -> int:
        """How many numbers the model gives."""

    @property
    def options(self) -> EncoderOptions:
        return self._options

    @lazy_property
    def fingerprint(self) -> str:
        return self._options.fingerprint(self.model_fingerprint)

    @property
    def image_fingerprint(self) -> str:
        """The same for any instruction of queries, which no picture's vector depends on."""
        options = replace(self._options, query_instruction=None)
        return options.fingerprint(self._image_model_fingerprint)

    @property
    def _image_model_fingerprint(self) -> str:
        """The fingerprint of the model without what is done to texts alone."""
        return self.model_fingerprint

    @property
    def former_fingerprint(self) -> str | None:
        former = self._options.fingerprint(digest_model(self.directory))
        return None if former == self.fingerprint else former

    @lazy_property
    def dimension(self) -> int:
        """All that the model gives, or as many as was asked for, or as its configuration says."""
        whole, cut = self.model_dimension, self._options.dimension
        if cut is None:
            return min(whole, self._saved_dimension or whole)
        if cut > whole:
            raise too_long(cut, whole, f"the encoder {self.name!r}")
        return cut

    @property
    def _saved_dimension(self) -> int | None:
        """What a saved model says of itself, by sentence-transformers' name for it."""
        file = self.directory / "config_sentence_transformers.json"
        said = read_config(file, f"the encoder {self.name!r}", EncoderError).get("truncate_dim")
        if said is not None and (type(said) is not int or said < 1):
            raise EncoderError(
                f"the encoder {self.name!r} says truncate_dim={said!r} in {file.name}"
            )
        return said

    def _rows(self, raw: ArrayLike, remedy: str = "") -> Vector:
        """What the model gave, ``(n, d)``, as unit rows of `dimension` numbers: the first ones."""
        return rows_of(self, np.asarray(raw)[:, : self.dimension], remedy)

    @abstractmethod
    def supports(self, modality: Modality) -> bool:
        """Whether the model takes inputs of this modality."""

    @property
    @abstractmethod
    def text_limit(self) -> int | None:
        """How many tokens of a text the model reads; ``None`` if all."""

    @abstractmethod
    def count_tokens(self, text: str) -> int:
        """How many tokens a text has."""

    @abstractmethod
    def _embed_texts(self, texts: Sequence[str], role: Role) -> Vector:
        """Unit rows of texts, ``(n, d)``, in one call of the model."""

    @abstractmethod
    def _embed_images(self, images: Sequence[Image.Image]) -> Vector:
        """Unit rows of prepared pictures, ``(n, d)``, in one call of the model."""

    def _embed_pairs(
        self, texts: Sequence[str], images: Sequence[Image.Image], role: Role
    ) -> Vector:
        """Unit rows of texts with prepared pictures, ``(n, d)``, in one call of the model."""
        raise NotImplementedError(f"{type(self).__name__} fuses and does not say how")

    @property
    @abstractmethod
    def _special(self) -> re.Pattern[str]:
        """Matches the names of tokens that are commands."""

    @property
    @abstractmethod
    def _image_batch(self) -> int:
        """Pictures a model call."""

    @property
    @abstractmethod
    def _image_side(self) -> int | None:
        """The longer side of what the model sees of a picture, in pixels, if that is known."""

    def encode_texts(
        self,
        texts: Sequence[str],
        role: Role = "document",
        *,
        batch_size: int = 32,
        progress: Progress | None = None,
    ) -> Vector:
        check_counts(batch_size=batch_size)
        texts = texts_as_list(texts, role)
        self.require("text")
        self._report_cut(texts)
        texts = [spelled_out(text, self._special) for text in texts]
        vectors = np.empty((len(texts), self.dimension), np.float32)
        for batch in self._batches(texts, role, batch_size):
            vectors[batch] = self._embed_texts([texts[position] for position in batch], role)
            if progress is not None:
                progress(len(batch))
        return vectors

    def _batches(self, texts: Sequence[str], role: Role, most: int) -> Iterator[list[int]]:
        """Positions of texts of like length, for one call of the model: there is little padding."""
        del role
        by_length = sorted(range(len(texts)), key=lambda position: len(texts[position]))
        yield from (by_length[start : start + most] for start in range(0, len(texts), most))

    def reads_whole(self, text: str) -> bool:
        limit = self.text_limit
        if limit is None or not self.supports("text"):
            return True
        if len(text) > _LETTERS * limit:
            return False
        return self.count_tokens(text) <= limit - _OWN

    def encode_images(
        self,
        images: Sequence[ImageSource],
        *,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Vector:
        sources = sources_as_list(images)
        self.require("image")
        with self._prepared(sources) as prepared:
            return self._encoded(self._embed_images, prepared, len(sources), batch_size, progress)

    def encode_prepared(self, images: Sequence[Image.Image]) -> Vector:
        self.require("image")
        return self._encoded(self._embed_images, iter(images), len(images))

    def encode_pairs(
        self,
        texts: Sequence[str],
        images: Sequence[ImageSource],
        role: Role = "document",
        *,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Vector:
        texts, sources = texts_as_list(texts, role), sources_as_list(images)
        if not self.fuses:
            return super().encode_pairs(texts, sources, role)
        check_pairs(texts, sources)
        with self._prepared(sources) as prepared:
            return self._encoded_pairs(texts, prepared, role, batch_size, progress)

    def encode_prepared_pairs(
        self, texts: Sequence[str], images: Sequence[Image.Image], role: Role = "document"
    ) -> Vector:
        texts = texts_as_list(texts, role)
        if not self.fuses:
            return super().encode_pairs(texts, images, role)
        check_pairs(texts, images)
        return self._encoded_pairs(texts, iter(images), role)

    def _encoded_pairs(
        self,
        texts: Sequence[str],
        images: Iterator[Image.Image],
        role: Role,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Vector:
        self._report_cut(texts)
        said = (spelled_out(text, self._special) for text in texts)

        def embed(batch: list[Image.Image]) -> Vector:
            return self._embed_pairs(list(islice(said, len(batch))), batch, role)

        return self._encoded(embed, images, len(texts), batch_size, progress)

    @contextmanager
    def _prepared(self, sources: Sequence[ImageSource]) -> Iterator[Iterator[Image.Image]]:
        """Pictures, in order, decoded by threads a little ahead."""
        with workers("unisem-decode") as pool:
            jobs = (pool.submit(self.prepare_image, image) for image in sources)
            yield in_order(jobs, _AHEAD)

    def _encoded(
        self,
        embed: Callable[[list[Image.Image]], Vector],
        images: Iterator[Image.Image],
        count: int,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Vector:
        most = self._image_batch if batch_size is None else batch_size
        check_counts(batch_size=most)
        vectors = np.empty((count, self.dimension), np.float32)
        done = 0
        while batch := list(islice(images, most)):
            vectors[done : done + len(batch)] = embed(batch)
            done += len(batch)
            if progress is not None:
                progress(len(batch))
        return vectors

    def prepare_image(self, image: ImageSource) -> Image.Image:
        least = self._min_side
        opened = open_image(image, min_side=least)
        if least is not None and (spare := min(opened.size) // least) > 1:
            opened = opened.reduce(spare)  # what decoding does for large ones
        longest = _MOST_OBLONG * min(opened.size)
        if max(opened.size) > longest:  # models that scale the shorter side up would burst
            width, height = (min(side, longest) for side in opened.size)
            opened = opened.resize((width, height), Image.Resampling.BOX)
        if self._square is not None and opened.width != opened.height:
            # The longer side is what the model sees of the square.
            if least is not None and (spare := max(opened.size) // least) > 1:
                opened = opened.reduce(spare)
            side = max(opened.size)
            canvas = Image.new("RGB", (side, side), self._square)
            canvas.paste(opened, ((side - opened.width) // 2, (side - opened.height) // 2))
            return canvas
        return opened

    def require(self, modality: Modality) -> None:
        """Raise `ModalityError` if the model does not take inputs of this modality."""
        if not self.supports(modality):
            other = {"text": "pictures only", "image": "texts only"}[modality]
            raise ModalityError(
                f"the encoder {self.name!r} has no {modality} side: it embeds {other}; pass one "
                "of both, such as a CLIP, or two towers"
            )

    def _report_cut(self, texts: Sequence[str]) -> None:
        """Warn once of a text whose end the model does not read."""
        limit = None if self._has_reported else self.text_limit
        if limit is None:
            return
        for text in texts:
            if len(text) <= limit:  # a token has a character at least, but for a few at the ends
                continue
            if self.count_tokens(text[: _LETTERS * limit]) > limit:
                self._has_reported = True
                _log.warning(
                    "the encoder %r reads %d tokens of a text, and one has more: its end is not "
                    "embedded. Cut long texts into passages, as unisem.readers.chunks.chunk_text "
                    "and add_folder do; this is said once. It begins %r",
                    self.name,
                    limit,
                    text[:60],
                )
                return

    @lazy_property
    def _square(self) -> tuple[int, int, int] | None:
        """The colour that pictures are padded with to a square, if this model wants that."""
        path = self.directory / "unisem_config.json"
        colour = read_config(path, self.name, EncoderError).get("pad_to_square")
        if colour is None:
            return None
        parts = colour if isinstance(colour, list) and len(colour) == 3 else []
        if not parts or not all(type(part) is int and 0 <= part <= 255 for part in parts):
            raise EncoderError(
                f"{self.name} has a damaged {path.name}: pad_to_square must be three whole numbers "
                f"from 0 to 255, not {colour!r:.60}"
            )
        return parts[0], parts[1], parts[2]

    @property
    def _min_side(self) -> int | None:
        """Twice the side that the model sees: below that, decoding at reduced scale would show."""
        return None if self._image_side is None else 2 * self._image_side
