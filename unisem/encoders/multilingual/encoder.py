"""`MultilingualEncoder`: texts of a hundred languages among `mini`'s pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from unisem.common.forks import undisturbed
from unisem.common.lazy_property import lazy_property
from unisem.encoders.base import Encoder, Role
from unisem.encoders.mini import MODEL_DIRECTORY
from unisem.encoders.multilingual.package import NAME, VOCABULARY, model_digest, unpacked_model
from unisem.encoders.multilingual.vocabulary import Vocabulary
from unisem.encoders.onnx.encoder import OnnxEncoder, Tokens
from unisem.encoders.options import EncoderOptions
from unisem.errors import EncoderError
from unisem.images.reference import ImageSource
from unisem.records import Modality, Vector

_ENGLISH = 0.01  # a share of `mini`'s vector that would not show
_FEW = 500  # letters, for which the whole tokenizer is not worth loading


class MultilingualEncoder(OnnxEncoder):
    """`mini`, whose texts may be in any of about a hundred languages.

    A picture's vector is `mini`'s. A text's vector is a mixture: multilingual-e5-small with a
    trained head says where the text is in `mini`'s space, and how likely it is English; by that
    share `mini`'s own vector of the text is taken (``docs/concepts/multilingual.md``). All of it is
    run by onnxruntime.

    Raises:
        EncoderError: The weights' package is not installed, or not as it should be.
    """

    def __init__(self, *, options: EncoderOptions | None = None) -> None:
        if {"query_instruction", "document_instruction"} & (
            options or EncoderOptions()
        ).given.keys():
            raise EncoderError(
                f"the encoder {NAME!r} was trained with its own words before a text, and takes no "
                "instructions; leave them out"
            )
        super().__init__(NAME, unpacked_model(), options=options)
        self._mini = OnnxEncoder("mini", MODEL_DIRECTORY)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), options=self._options), ()

    @lazy_property
    def model_fingerprint(self) -> str:
        """Its own: texts are elsewhere than `mini` puts them."""
        return hashlib.sha256(f"{model_digest()} {self._mini.fingerprint}".encode()).hexdigest()

    @property
    def image_fingerprint(self) -> str:
        """`mini`'s, whose pictures these are."""
        return self._options.fingerprint(self._mini.model_fingerprint)

    def reads_whole(self, text: str) -> bool:
        """Whether both read all of it: English is mostly where `mini` puts it."""
        return super().reads_whole(text) and self._mini.reads_whole(text)

    def _read(self, texts: Sequence[str], role: Role) -> list[Tokens]:
        if sum(map(len, texts)) > _FEW or "_tokenizer" in vars(self):  # that has been loaded
            return super()._read(texts, role)
        words = self._words
        asked = [self._prompt(role) + text for text in texts]
        tokenizer, numbers = self._vocabulary.tokenizer_for(asked)
        tokenizer.enable_truncation(words.length)  # a letter may stand for a sentence
        encoded = (numbers[tokenizer.encode(text).ids] for text in asked)
        return [Tokens(ids.tolist(), [0] * len(ids)) for ids in encoded]

    @lazy_property
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary(self.directory / VOCABULARY)

    def supports(self, modality: Modality) -> bool:
        return True

    def in_torch(self) -> Encoder:
        raise EncoderError(
            f"the encoder {self.name!r} is run by onnxruntime only, and is neither trained nor "
            "looked into; use mini"
        )

    def prepare_image(self, image: ImageSource) -> Image.Image:
        return self._mini.prepare_image(image)

    @property
    def _image_batch(self) -> int:
        return self._mini._image_batch

    def _embed_images(self, images: Sequence[Image.Image]) -> Vector:
        return self._rows(self._mini._embed_images(images))

    def _embed_texts(self, texts: Sequence[str], role: Role) -> Vector:
        with undisturbed():
            vectors, english = self._outputs("text", self._tokens(texts, role))
        chosen = np.flatnonzero(english[:, 0] > _ENGLISH).tolist()
        if chosen:
            share = english[chosen]
            ours = self._mini.encode_texts([texts[position] for position in chosen], role)
            vectors[chosen] = (1 - share) * vectors[chosen] + share * ours
        return self._rows(vectors)
