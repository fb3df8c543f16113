"""`OnnxEncoder`: a model directory with graphs, run by onnxruntime."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from unisem.common.forks import Carried, Mutex, keep_for_ever, undisturbed
from unisem.common.lazy_property import lazy_property
from unisem.encoders.base import Encoder, Role
from unisem.encoders.batched import BatchedEncoder
from unisem.encoders.mini import FINGERPRINT, MODEL_DIRECTORY
from unisem.encoders.onnx.description import Description, Words
from unisem.encoders.onnx.session import open_session
from unisem.encoders.options import EncoderOptions
from unisem.encoders.picture_sizes import fixed_size
from unisem.errors import EncoderError
from unisem.models.finding import digest_model
from unisem.models.preparation import Preparation
from unisem.models.special_tokens import matching
from unisem.records import Modality, Vector

if TYPE_CHECKING:
    from tokenizers import Tokenizer

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
"""What a text side may take: numbers of tokens, which of them are there, and of which text."""


class Tokens(NamedTuple):
    """A text as a model reads it.

    Attributes:
        ids: Numbers of tokens.
        kinds: For each, of which text it is, where a model takes two.
    """

    ids: Sequence[int]
    kinds: Sequence[int]


class OnnxEncoder(Carried, BatchedEncoder):
    """A model that `export_onnx` wrote, as an `Encoder`, run by onnxruntime on a CPU.

    Neither torch nor transformers is imported. Threads may share one. A side's graph is opened when
    it is first used, so that a search by text loads no image tower.

    A vector is the same to the bit whatever is embedded beside it, unless the graph is of int8.

    Args:
        name: What to call the model.
        directory: Its files.
        options: How it is to embed.

    Raises:
        EncoderError: They are damaged, or made of what is not allowed; of a graph or weights at
            their first use. The model cannot do what the options say.
    """

    def __init__(
        self, name: str, directory: Path, *, options: EncoderOptions | None = None
    ) -> None:
        self.directory = directory
        self._name = name
        self._options = options or EncoderOptions()
        self._description = Description.read(directory)
        _ = self.dimension  # which may be more than there are
        if self._options.max_pixels is not None:
            raise fixed_size(self._what)
        self._lock = Mutex()
        self._sessions: dict[str, Any] = {}
        self.follow_forks()

    def begin_anew(self) -> None:
        """In a forked child the threads of an open session are gone."""
        keep_for_ever(self._sessions)
        self._sessions = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), options=self._options), (self._name, self.directory)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"

    @property
    def name(self) -> str:
        return self._name

    @lazy_property
    def model_fingerprint(self) -> str:
        """The exported model's; an int8 export gives other vectors, and has its own.

        Inputs are prepared as they were when it was exported, which its description says.
        """
        return self._fingerprint(Preparation(self._description.preparation))

    @property
    def _image_model_fingerprint(self) -> str:
        return self._fingerprint(Preparation(self._description.preparation).of_images)

    def _fingerprint(self, preparation: Preparation) -> str:
        if self.directory == MODEL_DIRECTORY:
            return preparation.fingerprint(FINGERPRINT)
        model = preparation.fingerprint(digest_model(self.directory))
        if not self._description.int8:
            return model
        digest = hashlib.sha256(model.encode())
        for path in sorted((self.directory / "onnx").iterdir()):
            digest.update(path.name.encode() + path.read_bytes())
        return digest.hexdigest()

    @property
    def model_dimension(self) -> int:
        return self._description.dimension

    def supports(self, modality: Modality) -> bool:
        sides = {"text": self._description.words, "image": self._description.pixels}
        return sides[modality] is not None

    def in_torch(self) -> Encoder:
        """The same model run by torch, to be trained or looked into; loaded once.

        Raises:
            EncoderError: It was exported without its weights.
        """
        if self._description.int8:
            raise EncoderError(
                f"the encoder {self._name!r} holds int8 numbers for onnxruntime only; use the "
                "model that it was exported from"
            )
        return self._by_torch

    @lazy_property
    def _by_torch(self) -> Encoder:
        from unisem.encoders.sentence_transformer import SentenceTransformerEncoder

        return SentenceTransformerEncoder(self._name, self.directory, options=self._options)

    @property
    def _words(self) -> Words:
        self.require("text")
        assert self._description.words is not None
        return self._description.words

    @property
    def text_limit(self) -> int:
        return self._words.length

    @lazy_property
    def _special(self) -> re.Pattern[str]:
        return matching(self._words.special)

    @property
    def _image_batch(self) -> int:
        """Pictures a model call: more do not stay in the cache (``benchmarks/encode.py``)."""
        return 4

    @property
    def _image_side(self) -> int | None:
        return self._description.pixels.side if self._description.pixels else None

    @lazy_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        words = self._words
        path = self.directory / words.tokenizer
        if not path.resolve().is_relative_to(self.directory.resolve()):
            raise EncoderError(f"{self._what} wants a tokenizer from outside: {words.tokenizer!r}")
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises nothing narrower
            raise EncoderError(f"{self._what} has a damaged {words.tokenizer}: {error}") from error
        tokenizer.no_padding()
        tokenizer.enable_truncation(words.length)
        return tokenizer

    def count_tokens(self, text: str) -> int:
        known = self._tokenizer.encode(text, add_special_tokens=False)
        return len(known.ids) + sum(len(rest.ids) for rest in known.overflowing)

    def _embed_texts(self, texts: Sequence[str], role: Role) -> Vector:
        with undisturbed():
            return self._run("text", self._tokens(texts, role))

    def _batches(self, texts: Sequence[str], role: Role, most: int) -> Iterator[list[int]]:
        """Texts of as many tokens: padding would change a vector's last bits, and cost time."""
        groups: dict[int, list[int]] = {}
        for position, read in enumerate(self._read(texts, role)):
            groups.setdefault(len(read.ids), []).append(position)
        for _, alike in sorted(groups.items()):
            yield from (alike[start : start + most] for start in range(0, len(alike), most))

    def _read(self, texts: Sequence[str], role: Role) -> list[Tokens]:
        """Texts as tokens, as many as the model reads."""
        encoded = (self._tokenizer.encode(self._prompt(role) + text) for text in texts)
        return [Tokens(one.ids, one.type_ids) for one in encoded]

    def _prompt(self, role: Role) -> str:
        asked, words = self._options, self._words
        given = asked.query_instruction if role == "query" else asked.document_instruction
        own = words.query if role == "query" else words.document
        return own if given is None else given

    def _tokens(self, texts: Sequence[str], role: Role) -> dict[str, np.ndarray[Any, Any]]:
        """What the text side's graph takes of texts."""
        words = self._words
        read = self._read(texts, role)
        length = words.length if words.fill else max(len(one.ids) for one in read)
        tokens = np.zeros((3, len(read), length), np.int64)
        tokens[0] = words.pad
        for row, one in enumerate(read):
            tokens[0, row, : len(one.ids)] = one.ids
            tokens[1, row, : len(one.ids)] = 1
            tokens[2, row, : len(one.ids)] = one.kinds
        return dict(zip(INPUTS, tokens, strict=True))

    def _embed_images(self, images: Sequence[Image.Image]) -> Vector:
        assert self._description.pixels is not None
        pixels = self._description.pixels.of(images)
        with undisturbed():
            return self._run("image", {"pixel_values": pixels})

    def _run(self, side: Modality, inputs: dict[str, np.ndarray[Any, Any]]) -> Vector:
        return self._rows(self._outputs(side, inputs)[0])

    def _outputs(self, side: Modality, inputs: dict[str, np.ndarray[Any, Any]]) -> list[Any]:
        """All that a side's graph gives."""
        session = self._session(side)
        # Of one text alone onnxruntime adds up the tokens in another order than of several.
        is_lone = side == "text" and len(inputs[INPUTS[0]]) == 1
        if is_lone:
            inputs = {name: np.repeat(part, 2, axis=0) for name, part in inputs.items()}
        wanted = {one.name: inputs.get(one.name) for one in session.get_inputs()}
        try:
            given: list[Any] = session.run(None, wanted)
        except Exception as error:  # onnxruntime's own are no kind of anything
            raise EncoderError(f"{self._what} fails: {' '.join(str(error).split())}") from error
        return [part[:1] for part in given] if is_lone else given

    def _session(self, side: Modality) -> Any:
        if side not in self._sessions:
            with self._lock:
                if side not in self._sessions:  # no other thread was faster
                    path = self._description.graph(self.directory, side)
                    self._sessions[side] = open_session(self.directory, path, self._what)
        return self._sessions[side]

    @property
    def _what(self) -> str:
        return f"the encoder {self._name!r}"
