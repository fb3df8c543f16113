"""`SentenceTransformerEncoder`: any sentence-transformers model, behind safe calls.

sentence-transformers guesses what a bare string is and would fetch or open one that looks like a
URL or a path. Here every input is labelled (``{"text": …}``, ``{"image": …}``) before it gets
there, so a string is text and only text.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from unisem.common.lazy_property import lazy_property
from unisem.common.threads import in_order, workers
from unisem.encoders.base import Encoder, Progress, Role, rows_of
from unisem.encoders.mini import MODEL_DIRECTORY
from unisem.errors import EncoderError
from unisem.images.reference import ImageSource, open_image, sources_as_list
from unisem.models.finding import find_model, fingerprint_model
from unisem.models.local_model import LocalModel
from unisem.models.model_kind import refuse_other_kinds
from unisem.models.special_tokens import special_tokens, spelled_out
from unisem.records import Vector, check_unicode

if TYPE_CHECKING:
    from torch import Tensor

_AHEAD = 16  # pictures that are decoded while the model works
_LETTERS = 20  # characters that a token has at most, nearly always
_log = logging.getLogger(__name__)
_MOST_OBLONG = 50  # times as long as wide; pictures beyond that are squeezed


class SentenceTransformerEncoder(LocalModel, Encoder):
    """A sentence-transformers model directory as an `Encoder`.

    Files are found and identified at once; weights are loaded at the first encoding.

    Args:
        name: What to call the model.
        directory: Its files, weights as safetensors.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; the best one present if ``None``.
        dtype: Name of the floating type to compute in.

    Raises:
        EncoderError: At the first use, if the files do not load without running foreign code.
    """

    role = "encoder"
    failure = EncoderError
    _has_reported = False  # that a text was cut

    @lazy_property
    def fingerprint(self) -> str:
        return fingerprint_model(self.directory)

    @lazy_property
    def dimension(self) -> int:
        dimension = self.model.get_embedding_dimension()
        if isinstance(dimension, int):
            return dimension
        probe: dict[str, Any] = {"text": "a"}
        if not self.model.supports("text"):
            probe = {"image": Image.new("RGB", (64, 64))}
        return int(self._run([probe], "document").shape[1])

    def _load(self) -> Any:
        import torch
        from sentence_transformers import SentenceTransformer

        model = self._from_files(SentenceTransformer, _outputs)
        for module in model.modules():
            if isinstance(module, torch.nn.Softmax) and module.dim is None:
                module.dim = -1  # a saved Dense forgets the axis of its activation
        # Convolutions run up to three times faster with the channels last in memory.
        return model.to(memory_format=torch.channels_last)

    def encode_texts(
        self,
        texts: Sequence[str],
        role: Role = "document",
        *,
        batch_size: int = 32,
        progress: Progress | None = None,
    ) -> Vector:
        if isinstance(texts, str):
            raise TypeError("pass a list of texts, for example [text]")
        if role not in ("query", "document"):
            raise ValueError(f'role must be "query" or "document", not {role!r}')
        texts = list(texts)
        for position, text in enumerate(texts):
            if not isinstance(text, str):
                raise TypeError(f"texts[{position}] is {type(text).__name__}, not a string")
            check_unicode(text, f"texts[{position}]")
        self.require("text")
        self._report_cut(texts)
        vectors = np.empty((len(texts), self.dimension), np.float32)
        by_length = sorted(range(len(texts)), key=lambda position: len(texts[position]))
        for start in range(0, len(texts), batch_size):  # little padding: equals sit together
            batch = by_length[start : start + batch_size]
            vectors[batch] = self._run(self._text_inputs([texts[p] for p in batch]), role)
            if progress is not None:
                progress(len(batch))
        return vectors

    def encode_images(
        self,
        images: Sequence[ImageSource],
        *,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Vector:
        sources = sources_as_list(images)
        with workers("unisem-decode") as pool:
            jobs = (pool.submit(self.prepare_image, image) for image in sources)
            prepared = in_order(jobs, _AHEAD)
            return self._encoded(prepared, len(sources), batch_size, progress)

    def encode_prepared(self, images: Sequence[Image.Image]) -> Vector:
        return self._encoded(iter(images), len(images))

    def _encoded(
        self,
        images: Iterator[Image.Image],
        count: int,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Vector:
        self.require("image")
        vectors = np.empty((count, self.dimension), np.float32)
        done = 0
        while batch := list(islice(images, batch_size or self._image_batch)):
            inputs = [{"image": image} for image in batch]
            vectors[done : done + len(batch)] = self._run(inputs, "document")
            done += len(batch)
            if progress is not None:
                progress(len(batch))
        return vectors

    def prepare_image(self, image: ImageSource) -> Image.Image:
        opened = open_image(image, min_side=self._min_side)
        if self._min_side is not None and (spare := min(opened.size) // self._min_side) > 1:
            opened = opened.reduce(spare)  # what decoding does for large ones
        longest = _MOST_OBLONG * min(opened.size)
        if max(opened.size) > longest:  # models that scale the shorter side up would burst
            width, height = (min(side, longest) for side in opened.size)
            opened = opened.resize((width, height), Image.Resampling.BOX)
        if self._square is not None and opened.width != opened.height:
            # The longer side is what the model sees of the square.
            if self._min_side is not None and (spare := max(opened.size) // self._min_side) > 1:
                opened = opened.reduce(spare)
            side = max(opened.size)
            canvas = Image.new("RGB", (side, side), self._square)
            canvas.paste(opened, ((side - opened.width) // 2, (side - opened.height) // 2))
            return canvas
        return opened

    def preprocess_texts(self, texts: Sequence[str], role: Role) -> dict[str, Any]:
        """Tokenize texts, with the role's prompt: what the model takes as its input features."""
        inputs = self._text_inputs(texts)
        with self._lock:
            return self._features(inputs, role)

    def preprocess_images(self, images: Sequence[Image.Image]) -> dict[str, Any]:
        """Make input features of pictures from `prepare_image`; threads may do so side by side."""
        inputs = [{"image": image} for image in images]
        if not self.model.supports("message"):
            return self._features(inputs, "document")
        with self._lock:  # pictures are written into a message, which is tokenized
            return self._features(inputs, "document")

    def _features(self, inputs: list[dict[str, Any]], role: Role) -> dict[str, Any]:
        features: dict[str, Any] = self.model.preprocess(
            inputs, prompt=self._prompt(role), task=role
        )
        return features

    def _report_cut(self, texts: Sequence[str]) -> None:
        """Warn once of a text whose end the model does not read."""
        limit = None if self._has_reported else self.model.max_seq_length
        if not isinstance(limit, int):
            return
        tokenizer = getattr(self.model.tokenizer, "tokenizer", self.model.tokenizer)
        for text in texts:
            if len(text) <= limit:  # a token has a character at least, but for a few at the ends
                continue
            with self._lock:
                tokens = len(tokenizer.tokenize(text[: _LETTERS * limit]))
            if tokens > limit:
                self._has_reported = True
                _log.warning(
                    "the encoder %r reads %d tokens of a text, and one has more: its end is not "
                    "embedded. Cut long texts into passages (unisem.readers.chunk_text does, and "
                    "add_folder); this is said once. It begins %r",
                    self._name,
                    limit,
                    text[:60],
                )
                return

    def _text_inputs(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        return [{"text": spelled_out(text, self._special)} for text in texts]

    def _prompt(self, role: Role) -> str | None:
        """What goes before an input, by the names that sentence-transformers has for the roles."""
        names = ("query",) if role == "query" else ("document", "passage", "corpus")
        prompts, default = self.model.prompts, self.model.default_prompt_name
        return prompts.get(next((name for name in names if name in prompts), default)) or None

    @lazy_property
    def _special(self) -> re.Pattern[str]:
        return special_tokens(self.model)

    def require(self, modality: Literal["text", "image"]) -> None:
        """Raise `EncoderError` if the model does not take inputs of this modality."""
        if not self.model.supports(modality):
            other = {"text": "pictures only", "image": "texts only"}[modality]
            raise EncoderError(
                f"the encoder {self._name!r} has no {modality} side: it embeds {other}; pass one "
                "of both, such as a CLIP, or two towers"
            )

    @property
    def _image_batch(self) -> int:
        """Pictures a model call: on a CPU few enough for their activations to stay in the cache.

        Larger ones are several times slower there, most of it in the allocator
        (``benchmarks/encode.py``).
        """
        return 4 if self.model.device.type == "cpu" else 32

    @lazy_property
    def _square(self) -> tuple[int, int, int] | None:
        """The colour that pictures are padded with to a square, if this model wants that."""
        path = self.directory / "unisem_config.json"
        if not path.is_file():
            return None
        colour = json.loads(path.read_text(encoding="utf-8")).get("pad_to_square")
        return None if colour is None else (int(colour[0]), int(colour[1]), int(colour[2]))

    @lazy_property
    def _min_side(self) -> int | None:
        """Twice the side that the model sees: below that, decoding at reduced scale would show."""
        sides: list[int] = []
        for module in self.model.modules():
            processor = getattr(module, "processor", None)
            image_processor = getattr(processor, "image_processor", processor)
            size = getattr(image_processor, "size", None)
            if size is not None and hasattr(image_processor, "resample"):
                sides += [value for value in dict(size).values() if isinstance(value, int)]
        return 2 * max(sides) if sides else None

    def _run(self, inputs: list[dict[str, Any]], role: Role) -> Vector:
        model, prompt = self.model, self._prompt(role)
        with self._lock:
            raw = model.encode(
                inputs,
                prompt=prompt,
                task=role,
                batch_size=len(inputs),
                show_progress_bar=False,
            )
        remedy = "" if self._dtype == "float32" else f"; {self._dtype} may be too narrow for it, "
        if remedy:
            wider = "float32" if self._dtype == "bfloat16" else "bfloat16 or float32"
            remedy += f"so load it with dtype={wider}"
        return rows_of(self, raw, remedy)


def load_encoder(
    name: str | Encoder = "mini",
    *,
    device: str | None = None,
    dtype: str = "float32",
    local_only: bool = False,
) -> Encoder:
    """Find an encoder by name; weights are loaded when it first encodes.

    Args:
        name: ``"mini"`` (shipped with UniSem), a local directory, or a hub id, optionally
            ``owner/name@revision``. CLIP, SigLIP, SigLIP 2, sentence-transformers models and
            two-tower ``Router`` models all load. An `Encoder` is returned as it is.
        device: ``"cpu"``, ``"cuda"``, ``"mps"`` …; the best one present if ``None``.
        dtype: ``"float32"``, ``"float16"`` or ``"bfloat16"``.
        local_only: Look for a hub id in the local cache and nowhere else.

    Raises:
        EncoderError: No such model, one of another kind (a cross encoder, a sparse or a
            late-interaction model), or one whose weights are not safetensors.
    """
    if isinstance(name, Encoder):
        return name
    directory = locate_model(str(name), local_only=local_only)
    refuse_other_kinds(str(name), directory)
    return SentenceTransformerEncoder(str(name), directory, device=device, dtype=dtype)


def locate_model(name: str, *, local_only: bool = False) -> Path:
    """Return the directory of an encoder's files; see `load_encoder` for the names.

    Raises:
        EncoderError: Nothing of that name, or weights that are not safetensors.
    """
    return find_model(
        name,
        "encoder",
        EncoderError,
        example="openai/clip-vit-base-patch32",
        shipped={"mini": MODEL_DIRECTORY},
        local_only=local_only,
    )


def _outputs(model: Any) -> Iterator[Tensor]:
    """The vectors of a text in both roles, and of a picture."""
    from sentence_transformers.util import batch_to_device

    probes: list[tuple[str, str, Any]] = [
        ("text", "query", "a"),
        ("text", "document", "a"),
        ("image", "document", Image.new("RGB", (64, 64))),
    ]
    for modality, role, value in probes:
        if model.supports(modality):
            features = model.preprocess([{modality: value}], task=role)
            yield model(batch_to_device(features, model.device))["sentence_embedding"]
